"""The public kernel functions: conjugate kernel and neural tangent kernel of a spec on data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch

from notsodeep.activations.backend import is_tensor
from notsodeep.kernels.assemble import assemble
from notsodeep.kernels.samples import Samples
from notsodeep.kernels.scalar import warn_if_off_scale
from notsodeep.kernels.tiles import Tiler
from notsodeep.spec import DEQ, Spec, trainable_weights


class KernelsFunction(Protocol):
    """What ``nsd.kernels`` is to a type checker: a function that also carries :func:`diagonals`."""

    def __call__(self, spec: Spec, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all") -> tuple[Any, Any]:
        """Return ``(ck, ntk)``."""

    def diagonals(self, spec: Spec, X: Any, trainable: str | Iterable[str] = "all") -> tuple[Any, Any]:
        """Return the diagonals of ``(ck, ntk)``."""


def ck(spec: Spec, X: Any, Y: Any = None) -> Any:
    """Return the exact conjugate kernel of the infinitely wide model.

    ``G_ij = E[phi(u) phi(v)]`` over the pre-activations of ``x_i`` and ``y_j``. For a DEQ their
    covariance solves ``Lambda_ij = sigma_a2 G_ij + sigma_b2 x_i . y_j``; for an MLP it is the kernel
    of the layer before.

    Parameters
    ----------
    spec : DEQ or MLP
        The model.
    X : array or tensor (n, p)
        Samples as rows, scaled so that their mean squared norm is ``tau0**2``.
    Y : array or tensor (m, p), optional
        Other samples; ``X`` itself by default.

    Returns
    -------
    array or tensor (n, m)
        float64, of the kind (and on the device) that ``X`` is.

    Raises
    ------
    ValueError
        Bad data (wrong shape, NaN, infinity, an all-zero sample) or no stable fixed point.
    ConvergenceError
        When a fixed point or an integral does not reach rounding level.

    Notes
    -----
    Source: arXiv:2310.10767 and 2402.02697, section 2. Relative error about 1e-13 of ``sqrt(G_ii G_jj)``.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> nsd.ck(nsd.DEQ("relu"), np.eye(2)).round(6)
    array([[0.292624, 0.      ],
           [0.      , 0.292624]])
    """
    return _evaluate(spec, X, Y, frozenset(), ("ck",))[0]


def ntk(spec: Spec, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all") -> Any:
    """Return the exact neural tangent kernel of the infinitely wide model.

    For a DEQ with trained weights S, with ``D_ij = E[phi'(u) phi'(v)]``::

        K = [readout in S] G + (sigma_a2 [recurrent in S] G + sigma_b2 [input in S] X Y') * D / (1 - sigma_a2 D)

    For an MLP, ``K_l = c_{l+1} G_l + w_l K_{l-1} * D_l`` with the learning rates ``c`` of its layers.

    Parameters
    ----------
    spec, X, Y
        As for :func:`ck`.
    trainable : "all" or names
        ``recurrent``, ``input``, ``readout`` of a DEQ (the paper trains the first and the last);
        ``layer1``, ``layer2``, ..., ``readout`` of an MLP.

    Returns
    -------
    array or tensor (n, m)

    Raises
    ------
    ValueError, ConvergenceError
        As :func:`ck`; also for an unknown name in ``trainable``.

    Notes
    -----
    Parametrisation: NTK (weights N(0, 1), scales in the forward pass). Source: arXiv:2310.14062, 2402.02697.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> nsd.ntk(nsd.DEQ("relu"), np.eye(2), trainable=("recurrent", "readout")).round(6)
    array([[0.325138, 0.      ],
           [0.      , 0.325138]])
    """
    return _evaluate(spec, X, Y, trainable_weights(spec, trainable), ("ntk",))[0]


def kernels(spec: Spec, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all") -> tuple[Any, Any]:
    """Return ``(ck, ntk)`` at once, at little more than the cost of one of them.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> G, K = nsd.kernels(nsd.DEQ("tanh"), np.eye(3))
    >>> G.shape, bool((K.diagonal() > G.diagonal()).all())
    ((3, 3), True)
    """
    trained = trainable_weights(spec, trainable)
    return _evaluate(spec, X, Y, trained, ("ck", "ntk"))


def diagonals(spec: Spec, X: Any, trainable: str | Iterable[str] = "all") -> tuple[Any, Any]:
    """Return the diagonals ``(n,)`` of ``(ck, ntk)`` on ``X``, in O(n p).

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> nsd.kernels.diagonals(nsd.DEQ("relu"), np.eye(2))[0].round(6)
    array([0.292624, 0.292624])
    """
    trained = trainable_weights(spec, trainable)
    tiler = _tiler(spec, X, None, trained, torch.float64)
    found = tiler.diagonals()
    return _like(X, found.ck), _like(X, found.ntk)


def _evaluate(spec: Spec, X: Any, Y: Any, trained: frozenset[str], wanted: tuple[str, ...]) -> Any:
    tiler = _tiler(spec, X, Y, trained, torch.float64)
    found, _ = assemble(tiler, wanted)
    return tuple(_like(X, found[name]) for name in wanted)


def _tiler(spec: Spec, X: Any, Y: Any, trained: frozenset[str], dtype: torch.dtype) -> Tiler:
    trainable_weights(spec, "all")
    x = Samples("X", X)
    y = x if Y is None or Y is X else Samples("Y", Y)
    if y.p != x.p:
        raise ValueError(f"X and Y must have as many features, got {x.p} and {y.p}")
    if isinstance(spec, DEQ):
        warn_if_off_scale(spec, x.mean_square)
    return Tiler(spec, x, y, trained, dtype)


def _like(template: Any, result: torch.Tensor) -> Any:
    return result if is_tensor(template) else result.numpy()
