"""Broyden's method, sample by sample, with limited memory."""

from __future__ import annotations

import torch

MEMORY = 20
"""Updates that are kept; then the method starts anew from a plain step"""


class Broyden:
    """Broyden's (good) method for ``g(z) = f(z) - z = 0``, each sample with updates of its own.

    The inverse Jacobian of ``g`` starts as ``-1``, so that the first step is a plain one, and is
    ``H = -1 + sum_i u_i v_i^T`` after updates ``u = (s - H y) / (v . y)``, ``v = H^T s`` for the step ``s`` and the
    change ``y`` of ``g``. An update that is not finite is left out.

    Notes
    -----
    Source: Broyden, Math. Comp. 19 (1965) 577; Kelley, Iterative Methods for Linear and Nonlinear
    Equations (SIAM, 1995), section 7.3.
    """

    def __init__(self) -> None:
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self._left: list[torch.Tensor] = []
        self._right: list[torch.Tensor] = []

    def next(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return the next states ``(n, m)``."""
        residual = image - state
        if len(self._left) == MEMORY:
            self._left, self._right, self._last = [], [], None
        if self._last is not None:
            self._update(state - self._last[0], residual - self._last[1])
        self._last = state, residual
        return state - self._times(self._left, self._right, residual)

    def keep(self, rows: torch.Tensor) -> None:
        """Restrict what is remembered to these rows."""
        self._left, self._right = ([each[rows] for each in kept] for kept in (self._left, self._right))
        if self._last is not None:
            self._last = self._last[0][rows], self._last[1][rows]

    def _update(self, step: torch.Tensor, change: torch.Tensor) -> None:
        right = self._times(self._right, self._left, step)  # H^T s
        left = step - self._times(self._left, self._right, change)
        left = left / (right * change).sum(dim=1, keepdim=True)
        good = torch.isfinite(left).all(dim=1, keepdim=True)
        self._left.append(torch.where(good, left, 0.0))
        self._right.append(torch.where(good, right, 0.0))

    @staticmethod
    def _times(left: list[torch.Tensor], right: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return ``-x + sum_i left_i (right_i . x)`` for each sample."""
        out = -x
        for u, v in zip(left, right, strict=True):
            out = torch.addcmul(out, u, (v * x).sum(dim=1, keepdim=True))
        return out
