"""Anderson acceleration, sample by sample, with a regularisation that has no scale."""

from __future__ import annotations

import torch

MEMORY = 10
"""Differences of earlier states that are combined; with 5, models near instability take twice the iterations"""


class Anderson:
    """Anderson acceleration (type II) of ``z = f(z)``, each sample with coefficients of its own.

    With ``g = f(z) - z`` and differences ``dz_i``, ``dg_i`` of the last states, the next state is
    ``z + g - sum_i c_i (dz_i + dg_i)``, ``c`` minimising ``|g - sum_i c_i dg_i|^2 + r |c|^2``. The weight ``r`` is
    the machine epsilon times the sum of ``|dg_i|^2``: multiplying all states by a number changes no ``c``. Where
    ``c`` is not finite, a sample takes a plain step.

    Notes
    -----
    Source: Walker and Ni, SIAM J. Numer. Anal. 49 (2011) 1715.
    """

    def __init__(self) -> None:
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self._states: list[torch.Tensor] = []
        self._residuals: list[torch.Tensor] = []

    def next(self, state: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return the next states ``(n, m)``."""
        residual = image - state
        if self._last is not None:
            self._states = [*self._states[1 - MEMORY :], state - self._last[0]]
            self._residuals = [*self._residuals[1 - MEMORY :], residual - self._last[1]]
        self._last = state, residual
        if not self._states:
            return image
        mixed = image - self._correction(residual)
        return torch.where(torch.isfinite(mixed).all(dim=1, keepdim=True), mixed, image)

    def keep(self, rows: torch.Tensor) -> None:
        """Restrict what is remembered to these rows."""
        self._states, self._residuals = ([each[rows] for each in kept] for kept in (self._states, self._residuals))
        if self._last is not None:
            self._last = self._last[0][rows], self._last[1][rows]

    def _correction(self, residual: torch.Tensor) -> torch.Tensor:
        steps, changes = torch.stack(self._states, dim=1), torch.stack(self._residuals, dim=1)  # (n, k, m)
        gram = changes @ changes.mT
        diagonal = gram.diagonal(dim1=1, dim2=2)
        info = torch.finfo(gram.dtype)
        diagonal += info.eps * diagonal.sum(dim=1, keepdim=True) + info.tiny**0.5
        weights, _ = torch.linalg.solve_ex(gram, changes @ residual[:, :, None])
        return (weights.mT @ (steps + changes))[:, 0]
