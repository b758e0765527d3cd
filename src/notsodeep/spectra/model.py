"""The class model: Gram matrix of a Gaussian mixture, a shift a class, and a low-rank part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray, integer
from notsodeep.data import covariances as forms

_ASYMMETRY = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class ClassModel:
    """A random symmetric matrix of order n whose rows fall into K classes.

    With ``n_a`` independent rows ``z_i ~ N(0, S_a / p)`` in class a::

        Kbar = Z Z' + diag(s_i) + W + U B U',   U = [J / sqrt(p), Z M', psi],
        psi_i = (|z_i|^2 - tr S_a / p) / rho_a

    where ``J`` (n, K) indicates the classes, ``s_i = s_a`` within class a, and W is symmetric with independent
    entries of variance ``v_ab / p``.

    Parameters
    ----------
    counts : array (K,) of int
        ``n_a``, rows in each class; a class may be empty, not all.
    covariances : array (K, p, p), (K, p), (K,) or one number
        ``S_a``, in the forms that :class:`~notsodeep.GaussianMixture` takes. They may be zero.
    p : int, optional
        Number of columns of Z; needed when neither covariances nor means tell.
    shifts : array (K,), optional
        ``s_a``; zero by default.
    means : array (K, p), optional
        ``M``, one vector a class; zero by default.
    core : array (2K + 1, 2K + 1), optional
        ``B``, symmetric; zero by default.
    norm_scales : array (K,), optional
        ``rho_a``, positive; one by default.
    groups : array (K,) of int, optional
        The group that each class belongs to, 0, 1, ...: eigenvectors are compared with the indicators of groups, which
        are the classes themselves by default.
    noise : array (K, K), optional
        ``v``, symmetric and not negative; zero by default.

    Raises
    ------
    ValueError
        When an argument has a wrong shape, is not finite, or is not of its kind.

    Examples
    --------
    >>> from notsodeep.spectra import ClassModel
    >>> ClassModel(counts=[300, 100], covariances=[1.0, 4.0], p=200)
    ClassModel(counts=[300, 100], p=200)
    """

    counts: NDArray[np.int64]
    covariances: FloatArray
    p: int = None  # type: ignore[assignment]  # what is not given is filled in below
    shifts: FloatArray = None  # type: ignore[assignment]
    means: FloatArray = None  # type: ignore[assignment]
    core: FloatArray = None  # type: ignore[assignment]
    norm_scales: FloatArray = None  # type: ignore[assignment]
    noise: FloatArray = None  # type: ignore[assignment]
    groups: NDArray[np.int64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        counts = _counts(self.counts)
        k = len(counts)
        p = _columns(self.p, self.covariances, self.means)
        scales = _array("norm_scales", self.norm_scales, (k,), default=1.0)
        if not (scales > 0.0).all():
            raise ValueError(f"norm_scales must be positive, got {scales.tolist()}")
        core = _array("core", self.core, (2 * k + 1, 2 * k + 1))
        if np.abs(core - core.T).max() > _ASYMMETRY * np.abs(core).max():
            raise ValueError("core must be symmetric")
        noise = _array("noise", self.noise, (k, k))
        if (noise < 0.0).any() or not np.allclose(noise, noise.T, rtol=_ASYMMETRY, atol=0.0):
            raise ValueError("noise must be symmetric and not negative")
        fields = {
            "counts": counts,
            "p": p,
            "covariances": forms.normalise(self.covariances, k, p),
            "shifts": _array("shifts", self.shifts, (k,)),
            "means": _array("means", self.means, (k, p)),
            "core": 0.5 * (core + core.T),
            "norm_scales": scales,
            "noise": noise,
            "groups": _groups(self.groups, k),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"ClassModel(counts={self.counts.tolist()}, p={self.p})"

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return len(self.counts)

    @property
    def n(self) -> int:
        """Order of the matrix."""
        return int(self.counts.sum())


def _counts(value: Any) -> NDArray[np.int64]:
    counts = np.asarray(value)
    if counts.ndim != 1 or not counts.size or counts.dtype.kind not in "iu":
        raise ValueError(f"counts must be a list of integers, one a class, got {value!r}")
    if (counts < 0).any() or not counts.any():
        raise ValueError(f"counts must not be negative, nor all zero, got {counts.tolist()}")
    return counts.astype(np.int64)


def _groups(value: Any, k: int) -> NDArray[np.int64]:
    groups = np.arange(k) if value is None else np.asarray(value)
    if groups.shape != (k,) or groups.dtype.kind not in "iu" or set(groups.tolist()) != set(range(groups.max() + 1)):
        raise ValueError(f"groups must be {k} integers 0, 1, ... without gaps, got {value!r}")
    return groups.astype(np.int64)


def _columns(p: Any, covariances: Any, means: Any) -> int:
    if p is not None:
        return integer("p", p, low=1)
    for given in (means, covariances):
        shape: tuple[int, ...] = np.shape(given) if given is not None else ()
        if len(shape) >= 2:
            return integer("p", shape[1], low=1)
    raise ValueError("p must be given where covariances are numbers and there are no means")


def _array(name: str, value: Any, shape: tuple[int, ...], default: float = 0.0) -> FloatArray:
    if value is None:
        return np.full(shape, default)
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers of shape {shape}") from None
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinite values")
    return array
