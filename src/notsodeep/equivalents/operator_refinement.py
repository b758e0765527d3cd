"""Linear systems by repeated correction, around an inner solver that need not be exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from notsodeep.errors import ConvergenceError

Map = Callable[[torch.Tensor], torch.Tensor]

_BACKWARD = 1e-14  # residual, of |A| |x| + |b|: what a backward stable method leaves
_PROGRESS = 0.5  # a correction that leaves more than this of the residual is the last
_REDUCTION = 1e-8  # of one run of MINRES, whose rounding grows with the square of the condition number
_STEPS = 1000
_POWER_STEPS = 8


def refined(times: Map, inner: Map, b: torch.Tensor, norm: float) -> torch.Tensor:
    """Return x with ``times(x) = b``: ``inner`` solves for the residual until that is rounding.

    Raises
    ------
    ConvergenceError
        When a correction no longer helps.
    """
    x, size, before = inner(b), b.norm(dim=0), np.inf
    while True:
        residual = b - times(x)
        errors = residual.norm(dim=0) / (norm * x.norm(dim=0) + size).clamp(min=np.finfo(float).tiny)
        error = max(errors.tolist(), default=0.0)
        if error <= _BACKWARD:
            return x
        if not error <= _PROGRESS * before:
            raise ConvergenceError(
                f"the linear system was not solved: the residual stays at {error:.1e} of |A| |x| + |b|, "
                f"{_BACKWARD:.0e} wanted; add a ridge, that is, a larger diagonal, or solve with dense()"
            )
        x, before = x + inner(residual), error


def minres(times: Map, scale: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return an approximate solution of ``times(x) = b`` by MINRES on ``diag(scale) A diag(scale)``, column by column.

    The columns of ``b`` (n, m) are independent problems that share each product.
    """
    s = scale[:, None]
    v_old, v = torch.zeros_like(b), s * b
    beta = eta = v.norm(dim=0)
    start = beta.clone()
    v = _divided(v, beta)
    c_old = c = torch.ones_like(beta)
    s_old = sn = torch.zeros_like(beta)
    w_old, w, y = torch.zeros_like(b), torch.zeros_like(b), torch.zeros_like(b)
    for _ in range(_STEPS):
        p = s * times(s * v) - beta * v_old
        alpha = (v * p).sum(dim=0)
        p -= alpha * v
        beta_next = p.norm(dim=0)
        delta, second, third = c * alpha - c_old * sn * beta, sn * alpha + c_old * c * beta, s_old * beta
        rho = torch.hypot(delta, beta_next)
        w_old, w = w, _divided(v - third * w_old - second * w, rho)
        c_old, c = c, _divided(delta, rho)
        s_old, sn = sn, _divided(beta_next, rho)
        y += c * eta * w
        eta = -sn * eta
        v_old, v, beta = v, _divided(p, beta_next), beta_next
        if bool((eta.abs() <= _REDUCTION * start).all()):
            break
    return s * y


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
