"""Kernels of finite networks at the weights that they have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import torch

from notsodeep.errors import ConvergenceError
from notsodeep.networks.base import FiniteNetwork, as_batch
from notsodeep.networks.feature_cache import cached_features
from notsodeep.networks.weight import Factor
from notsodeep.spec import trainable_weights

TILE = 512
"""Samples that go through the network at once, and rows and columns of a tile of an NTK"""


def empirical_ck(net: FiniteNetwork, X: Any, Y: Any = None) -> Any:
    """Return the conjugate kernel of a finite network, ``features(X) @ features(Y).T``.

    Parameters
    ----------
    net : DEQNetwork, ExplicitNetwork or ParallelNetwork
        The network; as its width grows, its kernel tends to that of its spec.
    X : torch.Tensor or array_like
        Samples ``(n, in_features)``.
    Y : torch.Tensor or array_like, optional
        Other samples ``(n', in_features)``; ``X`` when not given.

    Returns
    -------
    torch.Tensor or numpy.ndarray
        Kernel ``(n, n')`` in the network's dtype, without gradient: a tensor if ``X`` is one, else an array.

    Raises
    ------
    ValueError
        When ``net`` is no network of this package, or ``X`` or ``Y`` do not fit it.
    ConvergenceError
        When a sample does not reach the equilibrium of a DEQ, or a number overflows.

    Notes
    -----
    The samples go through the network in batches; beside the features and the kernel, memory is that of one batch.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.networks import DEQNetwork, empirical_ck
    >>> from notsodeep.spec import DEQ
    >>> net = DEQNetwork(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), in_features=3, width=64)
    >>> empirical_ck(net, np.eye(3), np.eye(3)[:2]).shape
    (3, 2)
    """
    left, right = _checked(net, X, Y)
    with torch.autocast(left.device.type, enabled=False):
        rows = cached_features(net, left, batch_size=TILE)
        columns = rows if right is None else cached_features(net, right, batch_size=TILE)
        return _returned(rows @ columns.T, X)


def empirical_ntk(net: FiniteNetwork, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all") -> Any:
    """Return the neural tangent kernel of a finite network at the weights that it has, trained ones included.

    The mean over the outputs ``f_k`` of the inner products of their gradients, with the learning rates of the spec::

        K_ij = mean_k sum_W rate_W <df_k(x_i)/dW, df_k(y_j)/dW>

    whose limit for many units, at fresh weights, is the NTK of one output.

    Parameters
    ----------
    net : DEQNetwork, ExplicitNetwork or ParallelNetwork
        The network.
    X : torch.Tensor or array_like
        Samples ``(n, in_features)``.
    Y : torch.Tensor or array_like, optional
        Other samples ``(n', in_features)``; ``X`` when not given.
    trainable : "all" or names
        Weights whose gradients count (:func:`notsodeep.spec.weight_names`).

    Returns
    -------
    torch.Tensor or numpy.ndarray
        Kernel ``(n, n')`` in the network's dtype, without gradient: a tensor if ``X`` is one, else an array.

    Raises
    ------
    ValueError
        When ``net`` is no network of this package, ``X`` or ``Y`` do not fit it, or ``trainable`` names other weights.
    ConvergenceError
        When a sample does not reach the equilibrium of a DEQ or its gradient, or a number overflows.

    Notes
    -----
    The gradient of a sample in a weight matrix is an outer product ``slopes_i (x) inputs_i``, so the Gram matrix of
    the gradients is the product of those of ``slopes`` and of ``inputs``, entry by entry: no gradient is ever formed.
    Memory is that of the kernel, of one or two tables of the size of the features for each weight, and of one tile.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.networks import DEQNetwork, empirical_ntk
    >>> from notsodeep.spec import DEQ
    >>> net = DEQNetwork(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), in_features=3, width=64)
    >>> empirical_ntk(net, np.eye(3), trainable=("recurrent", "readout")).shape
    (3, 3)
    """
    left, right = _checked(net, X, Y)
    chosen = trainable_weights(net.spec, trainable)
    if chosen == {"readout"}:
        return empirical_ck(net, X, Y)
    kernel = left.new_zeros(len(left), len(left if right is None else right))
    with torch.autocast(left.device.type, enabled=False):
        for output in range(net.out_features):
            rows = _factors(net, left, output, chosen)
            _add(kernel, rows, None if right is None else _factors(net, right, output, chosen))
    return _returned(kernel.div_(net.out_features), X)


def _checked(net: Any, X: Any, Y: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    if not isinstance(net, FiniteNetwork):
        raise ValueError(f"net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got {type(net).__name__}")
    left, right = (
        None if each is None else as_batch(each, net.in_features, next(net.parameters())).detach() for each in (X, Y)
    )
    if left is None:
        raise ValueError(f"X must have shape (n, {net.in_features}) with n >= 1, got None")
    return left, right


def _factors(net: FiniteNetwork, batch: torch.Tensor, output: int, chosen: frozenset[str]) -> list[dict[str, Factor]]:
    """Return the factors of the chosen weights' gradients, block by block."""
    blocks = (net.factors(some, output) for some in batch.split(TILE))
    return [{name: factor for name, factor in block.items() if name in chosen} for block in blocks]


def _add(kernel: torch.Tensor, rows: list[dict[str, Factor]], columns: list[dict[str, Factor]] | None) -> None:
    """Add the Gram matrix of gradients to a kernel, tile by tile; without ``columns`` it is symmetric."""
    for i, left in enumerate(rows):
        for j, right in enumerate(rows if columns is None else columns):
            if columns is None and j < i:
                continue
            tile = reduce(torch.add, (_gram(left[name], right[name]) for name in left))
            kernel[i * TILE : (i + 1) * TILE, j * TILE : (j + 1) * TILE] += tile
            if columns is None and j > i:
                kernel[j * TILE : (j + 1) * TILE, i * TILE : (i + 1) * TILE] += tile.T


def _gram(a: Factor, b: Factor) -> torch.Tensor:
    """Return the inner products of the gradients of two blocks of samples in one weight."""
    pairs = ((left, right) for left, right in zip(a, b, strict=True) if left is not None and right is not None)
    return reduce(torch.mul, (left @ right.T for left, right in pairs))


def _returned(kernel: torch.Tensor, X: Any) -> Any:
    if not torch.isfinite(kernel).all():
        raise ConvergenceError("the kernel overflows; scale the samples down, or use torch.float64")
    return kernel if isinstance(X, torch.Tensor) else kernel.cpu().numpy()
