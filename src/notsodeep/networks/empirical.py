"""Kernels of finite networks, computed from their features."""

from __future__ import annotations

from typing import Any

import torch

from notsodeep.networks.base import FiniteNetwork


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
        When a sample does not reach the equilibrium of a DEQ.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.networks import DEQNetwork, empirical_ck
    >>> from notsodeep.spec import DEQ
    >>> net = DEQNetwork(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), in_features=3, width=64)
    >>> empirical_ck(net, np.eye(3), np.eye(3)[:2]).shape
    (3, 2)
    """
    if not isinstance(net, FiniteNetwork):
        raise ValueError(f"net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got {type(net).__name__}")
    with torch.no_grad():
        left = net.features(X)
        kernel = left @ (left if Y is None else net.features(Y)).T
    return kernel if isinstance(X, torch.Tensor) else kernel.cpu().numpy()
