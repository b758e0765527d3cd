"""Linear systems by repeated correction, around an inner solver that need not be exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from notsodeep.errors import ConvergenceError

Map = Callable[[torch.Tensor], torch.Tensor]

_BACKWARD = 1e-14  # residual, of |A| |x| + |b|: what a backward stable method leaves
_PROGRESS = 0.5  # a correction that leaves more than this of the residual is the last
_LEFT = 0.1  # residual, of |b|, above which x explains too little of b to be called a solution
_REDUCTION = 1e-8  # of one run of MINRES, whose rounding grows with the square of the condition number
_STEPS = 1000
_POWER_STEPS = 8


def refined(times: Map, inner: Map, b: torch.Tensor, norm: float) -> torch.Tensor:
    """Return x with ``times(x) = b``: ``inner`` solves for the residual until that is rounding.

    Raises
    ------
    ConvergenceError
        When a correction no longer helps, or the matrix turns out to be singular.
    """
    x, size, before = inner(b), b.norm(dim=0), np.inf
    while True:
        residual = b - times(x)
        left = residual.norm(dim=0)
        errors = left / (norm * x.norm(dim=0) + size).clamp(min=np.finfo(float).tiny)
        error = max(errors.tolist(), default=0.0)
        if error <= _BACKWARD:
            break
        if not error <= _PROGRESS * before:
            raise ConvergenceError(
                _failure(f"the residual stays at {error:.1e} of |A| |x| + |b|, {_BACKWARD:.0e} wanted")
            )
        x, before = x + inner(residual), error
    if not bool((left <= _LEFT * size).all()):
        raise ConvergenceError(_failure("the matrix is singular to working precision, the solution mere rounding"))
    return x


def _failure(what: str) -> str:
    return (
        f"the linear system was not solved: {what}; add a ridge, that is, a larger diagonal, or look at the "
        "eigenvalues of dense()"
    )


def minres(times: Map, precondition: Map, b: torch.Tensor) -> torch.Tensor:
    """Return an approximate solution of ``times(x) = b`` by MINRES with a positive definite preconditioner.

    The columns of ``b`` (n, m) are independent problems that share each product.
    """
    v_old, (v, z, beta) = torch.zeros_like(b), _normalised(b, precondition)
    eta = start = beta
    c_old = c = torch.ones_like(beta)
    s_old = s = torch.zeros_like(beta)
    w_old, w, x = torch.zeros_like(b), torch.zeros_like(b), torch.zeros_like(b)
    for _ in range(_STEPS):
        product = times(z)
        alpha = (z * product).sum(dim=0)
        v_next, z_next, beta_next = _normalised(product - alpha * v - beta * v_old, precondition)
        delta, second, third = c * alpha - c_old * s * beta, s * alpha + c_old * c * beta, s_old * beta
        rho = torch.hypot(delta, beta_next)
        w_old, w = w, _divided(z - third * w_old - second * w, rho)
        c_old, c = c, _divided(delta, rho)
        s_old, s = s, _divided(beta_next, rho)
        x += c * eta * w
        eta = -s * eta
        v_old, v, z, beta = v, v_next, z_next, beta_next
        if bool((eta.abs() <= _REDUCTION * start).all()):
            break
    return x


def _normalised(v: torch.Tensor, precondition: Map) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return v, ``precondition(v)``, both over the root of their product, and that root."""
    z = precondition(v)
    size = (v * z).sum(dim=0).clamp(min=0.0).sqrt()
    return _divided(v, size), _divided(z, size), size


def spectral_norm(times: Map, like: torch.Tensor) -> float:
    """Return an estimate from below, by some steps of the power method, of the largest absolute eigenvalue."""
    start = np.random.default_rng(0).standard_normal((len(like), 1))
    v, norm = torch.from_numpy(start).to(like), 0.0
    for _ in range(_POWER_STEPS):
        v = times(_divided(v, v.norm()))
        norm = max(norm, float(v.norm()))
    return norm


def _divided(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a / b.clamp(min=np.finfo(float).tiny)
