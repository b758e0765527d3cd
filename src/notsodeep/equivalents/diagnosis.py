"""Whether data are high-dimensional enough: what the theory takes as small, and the errors that follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from notsodeep.checks import FloatArray, choice, integer, number
from notsodeep.data import Statistics
from notsodeep.data.seeds import generator
from notsodeep.equivalents.assembly import checked_samples
from notsodeep.equivalents.coefficients import KERNELS
from notsodeep.equivalents.forms import all_forms, form_errors
from notsodeep.equivalents.pair_series import pair_series
from notsodeep.kernels import ck, ntk
from notsodeep.spec import DEQ, Spec, trainable_weights

_SMALL = 32  # order below which all eigenvalues are computed
_LOST = 0.25  # effective dimension, of p, below which samples are said to share directions
_EXACT, _NOTABLE = 1e-6, 0.01  # an error that needs no reason, a spread of norms that is one
_GOOD, _FAIR = 0.01, 0.1  # relative spectral errors up to which a form is called close, and rough


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """How far the high-dimensional theory holds on some data, for one kernel of one model."""

    n: int
    """Samples"""
    p: int
    """Features"""
    classes: str
    """Where the classes come from"""
    norm_fluctuation: float
    """Standard deviation of ``|x|^2`` over its mean; ``sqrt(2 / p)`` for isotropic Gaussian samples"""
    mean_share: float
    """Part of the mean squared norm that the class means carry; the paper's form takes it as 0"""
    largest_trace: float
    """``max_a |t_a|``, the difference of the class traces; the theory takes it as of order 1, whatever p"""
    rms_correlation: float
    """Root mean square of ``x_i . x_j / |x_i| |x_j|``, i != j, of the subsample; ``1 / sqrt(p)`` for isotropic ones"""
    max_correlation: float
    """Largest absolute one of the subsample; the theory takes it as small"""
    expected: dict[str, float]
    """Relative spectral error of each form on all n samples, as estimated from the first terms that it leaves out"""
    measured: dict[str, float]
    """Relative spectral error of each form against the exact kernel of the subsample"""
    subsample: int
    """Samples of the subsample"""

    @property
    def effective_dimension(self) -> float:
        """The dimension in which isotropic samples have as large correlations, ``1 / rms_correlation^2``."""
        return self.rms_correlation**-2 if self.rms_correlation else math.inf

    @property
    def verdict(self) -> str:
        """What the numbers mean, in words."""
        best = min(reversed(self.measured), key=lambda form: round(self.measured[form], 6))
        if self.measured["norm-aware"] <= 1.01 * self.measured[best]:
            best = "norm-aware"
        return " ".join([self._opening(), *self._reasons(), f"The closest form here is: {best}."])

    def _opening(self) -> str:
        error = self.measured["norm-aware"]
        size = f"the norm-aware form is within {_percent(error)} of the kernel (measured on {self.subsample} samples)"
        if error <= _GOOD:
            return f"The high-dimensional theory holds on these data: {size}."
        if error <= _FAIR:
            return f"The high-dimensional theory is a fair approximation on these data: {size}."
        instead = "its exact squares" if self.measured["exact squares"] <= _GOOD else "the exact kernels"
        return f"The high-dimensional theory does not hold on these data: {size}. Use {instead}."

    def _reasons(self) -> list[str]:
        reasons = []
        paper = self.measured.get("paper", 0.0)
        if self.norm_fluctuation > _NOTABLE and paper > max(3.0 * self.measured["norm-aware"], _EXACT):
            reasons.append(
                f"Norms matter: they vary by {self.norm_fluctuation:.0%}, and the paper's form, with one norm for all, "
                f"is {_percent(self.measured['paper'])} away."
            )
        if self.measured["norm-aware"] > max(3.0 * self.measured["exact squares"], _EXACT):
            reasons.append(
                f"Squared products matter: their exact values leave {_percent(self.measured['exact squares'])}."
            )
        if self.effective_dimension < _LOST * self.p:
            reasons.append(
                f"Samples share directions: correlations, up to {self.max_correlation:.2f}, are as large as in "
                f"{self.effective_dimension:.0f} dimensions, not {self.p}."
            )
        if self.measured["norm-aware"] > max(2.0 * self.expected["norm-aware"], _EXACT):
            reasons.append("The error is larger than that of independent products: classes have structure within.")
        return reasons

    def __str__(self) -> str:
        lines = [
            f"n = {self.n}, p = {self.p}, classes: {self.classes}",
            f"norm fluctuation     {self.norm_fluctuation:.3g} (isotropic Gaussian samples: {(2 / self.p) ** 0.5:.3g})",
            f"share of the means   {self.mean_share:.3g}",
            f"largest |t_a|        {self.largest_trace:.3g}",
            f"correlation, rms     {self.rms_correlation:.3g} (isotropic: {self.p**-0.5:.3g}), effective dimension "
            f"{self.effective_dimension:.0f}",
            f"correlation, largest {self.max_correlation:.3g}",
            *(
                f"{form:<20} expected error {self.expected[form]:.2e}, measured {self.measured[form]:.2e}"
                for form in self.measured
            ),
        ]
        return "\n".join([*lines, fill(self.verdict, 100)])


def diagnose(
    spec: Spec,
    X: Any,
    stats: Statistics | None = None,
    kernel: str = "ck",
    trainable: str | Iterable[str] = "all",
    subsample: int = 1000,
    seed: int = 0,
    tau0: float | None = None,
) -> Diagnosis:
    """Return how large the quantities are that the theory takes as small, and which errors follow.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model.
    X : array or tensor (n, p)
        Samples, scaled as the model wants them.
    stats : Statistics, optional
        Of these samples; estimated for a single class without it.
    kernel, trainable
        Which kernel, as in :func:`notsodeep.equivalent`.
    subsample : int
        Samples, drawn at random, on which the exact kernel is computed (>= 2); all of them if there are fewer.
    seed : int
        Of the subsample.
    tau0 : float
        For the paper's form of explicit layers: the scale at which they are centred, as in
        :func:`notsodeep.equivalent`.

    Raises
    ------
    ValueError
        When an argument is illegal.

    Notes
    -----
    The expected error of the exact squares is that of the cubic term, ``3 k_3 |x|^2 E rho^2`` times the Gram
    matrix; the projected squares add the norm of a random matrix with entries of the variance of ``k_2 (x_i . x_j)^2``;
    the paper's form adds its distance from the norm-aware one, computed by Lanczos iterations in O(n p). The paper's
    form is left out where it does not exist: for activations that are not centred, and with a bias.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> gm = nsd.GaussianMixture.paper(400)
    >>> X, y = gm.sample(320, seed=0)
    >>> deq = nsd.DEQ("relu", tau0=(X**2).sum(axis=1).mean() ** 0.5)
    >>> nsd.diagnose(deq, X, nsd.Statistics.from_mixture(gm, X, y)).verdict[:53]
    'The high-dimensional theory holds on these data: the '
    """
    choice("kernel", kernel, KERNELS)
    trained = trainable_weights(spec, trainable)
    subsample = integer("subsample", subsample, low=2)
    if tau0 is not None:
        if isinstance(spec, DEQ):
            raise ValueError(f"tau0 belongs to the DEQ spec ({spec.tau0:g}); leave the argument out, got {tau0!r}")
        tau0 = number("tau0", tau0, low=0.0, strict=True)
    checked = checked_samples(X, stats)
    n, p = checked.shape
    stats = Statistics.from_data(checked) if stats is None else stats
    few = np.sort(generator(seed).permutation(n)[:subsample])
    norms = np.einsum("ij,ij->i", checked, checked)
    rho = _correlations(checked[few], norms[few])
    of_few = replace(stats, psi=stats.psi[few], J=stats.J[few])
    return Diagnosis(
        n=n,
        p=p,
        classes=stats.source,
        norm_fluctuation=float(norms.std() / norms.mean()),
        mean_share=max(0.0, 1.0 - stats.within_tau0**2 / float(norms.mean())),
        largest_trace=float(np.abs(stats.t).max()),
        rms_correlation=float(np.sqrt(np.mean(rho**2))),
        max_correlation=float(np.abs(rho).max()),
        expected=_expected(spec, checked, stats, kernel, trained, tau0, rho),
        measured=_measured(spec, checked[few], of_few, kernel, trained, tau0),
        subsample=len(few),
    )


def _percent(error: float) -> str:
    return f"{100.0 * error:.2g} %"


def _correlations(X: FloatArray, norms: FloatArray) -> FloatArray:
    """Return the correlations of all pairs of different samples, ``(n (n - 1) / 2,)``."""
    gram = X @ X.T
    above = np.triu_indices(len(X), 1)
    return np.asarray(gram[above] / np.sqrt(norms[above[0]] * norms[above[1]]))


def _expected(
    spec: Spec,
    X: FloatArray,
    stats: Statistics,
    kernel: str,
    trained: frozenset[str],
    tau0: float | None,
    rho: FloatArray,
) -> dict[str, float]:
    n, square = len(X), float(np.vdot(X, X)) / len(X)
    forms = all_forms(spec, X, stats, kernel, trained, tau0)
    _, _, k2, k3 = np.abs(getattr(pair_series(spec, np.array([square]), trained), kernel)[:, 0, 0])
    size = _norm(n, forms["norm-aware"].matvec)
    cubic = 3.0 * k3 * square**2 * float(np.mean(rho**2)) * _norm(n, lambda v: X @ (X.T @ v))
    quadratic = 2.0 * n**0.5 * k2 * square**2 * float(np.std(rho**2))
    out = {"norm-aware": (cubic + quadratic) / size, "exact squares": cubic / size}
    if "paper" in forms:
        apart = _norm(n, lambda v: forms["paper"].matvec(v) - forms["norm-aware"].matvec(v))
        out = {"paper": apart / size + out["norm-aware"]} | out
    return out


def _measured(
    spec: Spec, X: FloatArray, stats: Statistics, kernel: str, trained: frozenset[str], tau0: float | None
) -> dict[str, float]:
    exact = ck(spec, X) if kernel == "ck" else ntk(spec, X, trainable=trained)
    return form_errors(exact, all_forms(spec, X, stats, kernel, trained, tau0))


def _norm(n: int, times: Callable[[FloatArray], FloatArray]) -> float:
    """Return the spectral norm of a symmetric matrix, to three digits."""
    if n < _SMALL:
        return float(np.abs(np.linalg.eigvalsh(np.stack([times(e) for e in np.eye(n)]))).max())
    start = np.random.default_rng(0).standard_normal(n)
    found = eigsh(LinearOperator((n, n), matvec=times, dtype=np.float64), 1, v0=start, tol=1e-3)[0]
    return float(abs(found[0]))
