"""The public kernel functions: conjugate kernel and neural tangent kernel of a spec on data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from notsodeep.activations.backend import is_tensor
from notsodeep.checks import choice, integer
from notsodeep.kernels.assemble import assemble
from notsodeep.kernels.model import Record
from notsodeep.kernels.samples import Samples
from notsodeep.kernels.scalar import warn_if_off_scale
from notsodeep.kernels.tiling import Tile, Tiler, iterate
from notsodeep.spec import DEQ, Spec, trainable_weights

_DTYPES = ("float64", "float32")


class KernelsFunction(Protocol):
    """What ``nsd.kernels`` is to a type checker: a function that also carries the other kernel functions."""

    def __call__(
        self, spec: Spec, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all", **options: Any
    ) -> tuple[Any, Any]:
        """Return ``(ck, ntk)``."""

    def diagonals(self, spec: Spec, X: Any, trainable: str | Iterable[str] = "all") -> tuple[Any, Any]:
        """Return the diagonals of ``(ck, ntk)``."""

    def solve(
        self, spec: Spec, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all", **options: Any
    ) -> Solved:
        """Return both kernels with their certificate."""

    def tiles(
        self, spec: Spec, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all", **options: Any
    ) -> Iterator[Tile]:
        """Yield the kernels tile by tile."""

    def sphere(self, spec: Spec, kernel: str = "ck", trainable: str | Iterable[str] = "all", **options: Any) -> Any:
        """Return a kernel of samples of one norm as a function of their cosine."""


@dataclass(frozen=True)
class Solved:
    """Both kernels of some samples, and how well they were solved."""

    ck: Any
    ntk: Any
    record: Record


def ck(
    spec: Spec,
    X: Any,
    Y: Any = None,
    *,
    dtype: str = "float64",
    variances: Mapping[str, Any] | None = None,
) -> Any:
    """Return the exact conjugate kernel of the infinitely wide model.

    ``G_ij = E[phi(u) phi(v)]`` over the pre-activations of ``x_i`` and ``y_j``. For a DEQ their
    covariance solves ``Lambda_ij = sigma_a2 G_ij + sigma_b2 x_i . y_j + sigma_c2``; for an MLP it is
    ``weight_var`` times the kernel of the layer before, plus ``bias_var``. Kernels of parallel branches add.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model.
    X : array or tensor (n, p)
        Samples as rows, scaled so that their mean squared norm is ``tau0**2``.
    Y : array or tensor (m, p), optional
        Other samples; ``X`` itself by default.
    dtype : {"float64", "float32"}
        Precision of the result. ``"float32"`` halves the memory; the Gram matrix is then taken in single precision,
        the rest in double, and pairs near correlation 1 entirely in double. On MNIST the error is below 1e-6 of the
        largest entry.
    variances : dict of tensors, optional
        Any of ``sigma_a2``, ``sigma_b2``, ``sigma_c2`` of a DEQ as torch scalars, in place of the spec's: the kernel is
        then a tensor that can be differentiated in them.

    Returns
    -------
    array or tensor (n, m)
        Of the kind (and on the device) that ``X`` is. When ``X`` or ``Y`` requires a gradient, a float64 tensor that
        can be differentiated, through the fixed point by the implicit function theorem.

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
    return _evaluate(spec, X, Y, "readout", ("ck",), dtype, variances)[0]


def ntk(
    spec: Spec,
    X: Any,
    Y: Any = None,
    trainable: str | Iterable[str] = "all",
    *,
    dtype: str = "float64",
    variances: Mapping[str, Any] | None = None,
) -> Any:
    """Return the exact neural tangent kernel of the infinitely wide model.

    For a DEQ with trained weights S, with ``D_ij = E[phi'(u) phi'(v)]``::

        K = [readout in S] G
            + (sigma_a2 [recurrent in S] G + sigma_b2 [input in S] X Y' + sigma_c2 [bias in S]) * D / (1 - sigma_a2 D)

    For an MLP, ``K_l = (w_l (c_l G_{l-1} + K_{l-1}) + c_l b_l) * D_l`` with the variances ``w_l`` of the weights and
    ``b_l`` of the bias and the learning rate ``c_l`` of each layer; the readout adds the last ``G``. Those of parallel
    branches add.

    Parameters
    ----------
    spec, X, Y
        As for :func:`ck`.
    trainable : "all" or names
        ``recurrent``, ``input``, ``readout`` of a DEQ (the paper trains the first and the last), and ``bias`` when it
        has one; ``layer1``, ``layer2``, ..., ``readout`` of an MLP, and ``bias1``, ... of layers with a bias;
        ``branch1.layer1``, ..., ``branch2.layer1``, ..., ``readout`` of a Parallel.
    dtype, variances
        As for :func:`ck`.

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
    return _evaluate(spec, X, Y, trainable, ("ntk",), dtype, variances)[0]


def kernels(
    spec: Spec,
    X: Any,
    Y: Any = None,
    trainable: str | Iterable[str] = "all",
    *,
    dtype: str = "float64",
    variances: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
    """Return ``(ck, ntk)`` at once, at little more than the cost of one of them; arguments as for :func:`ntk`.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> G, K = nsd.kernels(nsd.DEQ("tanh"), np.eye(3))
    >>> G.shape, bool((K.diagonal() > G.diagonal()).all())
    ((3, 3), True)
    """
    return _evaluate(spec, X, Y, trainable, ("ck", "ntk"), dtype, variances)


def solve(
    spec: Spec,
    X: Any,
    Y: Any = None,
    trainable: str | Iterable[str] = "all",
    *,
    dtype: str = "float64",
    on_failure: str = "raise",
) -> Solved:
    """Return both kernels with their certificate: residual, Newton steps, pairs that were treated one by one.

    Parameters
    ----------
    spec, X, Y, trainable, dtype
        As for :func:`ntk`.
    on_failure : {"raise", "return"}
        What happens when pairs do not converge: an error that says where and why, or NaN in their place and the same
        words in ``record.failure``.

    Returns
    -------
    Solved
        ``ck``, ``ntk`` and ``record`` (:class:`~notsodeep.kernels.model.Record`).

    Raises
    ------
    ValueError, ConvergenceError
        As :func:`ntk`.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> found = nsd.kernels.solve(nsd.DEQ("silu"), np.eye(3))
    >>> found.record.converged, found.record.residual < 1e-14
    (True, True)
    """
    choice("on_failure", on_failure, ("raise", "return"))
    tiler = _tiler(spec, X, Y, trainable_weights(spec, trainable), dtype)
    found, record = assemble(tiler, ("ck", "ntk"), on_failure)
    return Solved(_like(X, found["ck"]), _like(X, found["ntk"]), record)


def tiles(
    spec: Spec,
    X: Any,
    Y: Any = None,
    trainable: str | Iterable[str] = "all",
    *,
    kernel: str = "both",
    size: int | None = None,
    dtype: str = "float64",
    on_failure: str = "raise",
) -> Iterator[Tile]:
    """Return an iterator over the kernels tile by tile, for what does not fit into memory.

    Tiles come row by row and cover every pair. In a square call (``Y`` not given) they lie on and above the diagonal:
    each pair is computed once, and ``tile.mirrored`` says that the transpose belongs below the diagonal too.

    Parameters
    ----------
    spec, X, Y, trainable, dtype
        As for :func:`ntk`.
    kernel : {"both", "ck", "ntk"}
        What is computed; the other field of the tiles is None.
    size : int, optional
        Rows and columns of a tile; by default 512, and 1024 for many samples.
    on_failure : {"raise", "return"}
        As for :func:`solve`.

    Returns
    -------
    iterator of Tile
        ``rows``, ``columns`` (slices), ``ck``, ``ntk``, ``record``, ``mirrored``.

    Raises
    ------
    ValueError, ConvergenceError
        As :func:`ntk`; bad arguments at once, before the first tile.

    Examples
    --------
    The product of a kernel with a vector, without the kernel:

    >>> import numpy as np, notsodeep as nsd
    >>> X, v = np.random.default_rng(0).standard_normal((300, 8)) / 8**0.5, np.ones(300)
    >>> deq, product = nsd.DEQ("tanh"), np.zeros(300)
    >>> for tile in nsd.kernels.tiles(deq, X, kernel="ck", size=128):
    ...     product[tile.rows] += tile.ck @ v[tile.columns]
    ...     if tile.mirrored:
    ...         product[tile.columns] += tile.ck.T @ v[tile.rows]
    >>> bool(np.allclose(product, nsd.ck(deq, X) @ v))
    True
    """
    choice("on_failure", on_failure, ("raise", "return"))
    wanted = ("ck", "ntk") if choice("kernel", kernel, ("both", "ck", "ntk")) == "both" else (kernel,)
    if size is not None:
        integer("size", size, low=1)
    tiler = _tiler(spec, X, Y, trainable_weights(spec, trainable), dtype, size)
    return (replace(t, ck=_like(X, t.ck), ntk=_like(X, t.ntk)) for t in iterate(tiler, wanted, on_failure))


def diagonals(spec: Spec, X: Any, trainable: str | Iterable[str] = "all") -> tuple[Any, Any]:
    """Return the diagonals ``(n,)`` of ``(ck, ntk)`` on ``X``, in O(n p).

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> nsd.kernels.diagonals(nsd.DEQ("relu"), np.eye(2))[0].round(6)
    array([0.292624, 0.292624])
    """
    trained = trainable_weights(spec, trainable)
    found = _tiler(spec, X, None, trained, "float64").diagonals()
    return _like(X, found.ck), _like(X, found.ntk)


def _evaluate(
    spec: Spec,
    X: Any,
    Y: Any,
    trainable: str | Iterable[str],
    wanted: tuple[str, ...],
    dtype: str,
    variances: Mapping[str, Any] | None,
) -> tuple[Any, ...]:
    if variances is not None or _needs_gradient(X) or _needs_gradient(Y):
        return _with_gradient(spec, X, Y, trainable, wanted, dtype, variances)
    found, _ = assemble(_tiler(spec, X, Y, trainable_weights(spec, trainable), dtype), wanted)
    return tuple(_like(X, found[name]) for name in wanted)


def _with_gradient(
    spec: Spec,
    X: Any,
    Y: Any,
    trainable: str | Iterable[str],
    wanted: tuple[str, ...],
    dtype: str,
    variances: Mapping[str, Any] | None,
) -> tuple[Any, ...]:
    from notsodeep.kernels.gradients import at_variances, differentiable

    if choice("dtype", dtype, _DTYPES) != "float64":
        raise ValueError(f"kernels with gradients are float64, got dtype={dtype!r}")
    at = at_variances(spec, variances)
    trained = trainable_weights(at, trainable)
    tiler = _tiler(at, X, Y, trained, dtype)
    solved = assemble(tiler, ("ck",))[0]["ck"] if isinstance(at, DEQ) else None
    x, y = _tensor(X), None if Y is None or Y is X else _tensor(Y)
    both = differentiable(spec, x, y, trained, variances, solved)
    return tuple(both[("ck", "ntk").index(name)] for name in wanted)


def _tensor(value: Any) -> torch.Tensor:
    return (value if is_tensor(value) else torch.tensor(np.asarray(value))).to(torch.float64)


def _needs_gradient(value: Any) -> bool:
    return is_tensor(value) and value.requires_grad and torch.is_grad_enabled()


def _tiler(spec: Spec, X: Any, Y: Any, trained: frozenset[str], dtype: str, size: int | None = None) -> Tiler:
    choice("dtype", dtype, _DTYPES)
    x = Samples("X", X)
    y = x if Y is None or Y is X else Samples("Y", Y)
    if y.p != x.p:
        raise ValueError(f"X and Y must have as many features, got {x.p} and {y.p}")
    if y.device != x.device:
        raise ValueError(f"X and Y must be on one device, got {x.device} and {y.device}")
    if isinstance(spec, DEQ):
        warn_if_off_scale(spec, x.mean_square)
    return Tiler(spec, x, y, trained, getattr(torch, dtype), size)


def _like(template: Any, result: torch.Tensor | None) -> Any:
    return result if is_tensor(template) or result is None else result.numpy()
