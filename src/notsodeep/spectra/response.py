"""What the low-rank part of a class model meets: the limit of ``U' (Z Z' + S - x)^-1 U`` outside the support."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.spectra.components import Component
from notsodeep.spectra.model import ClassModel
from notsodeep.spectra.traces import Traces


@dataclass(frozen=True, eq=False)
class Response:
    """The limit of ``U' Q U``, ``Q = (Z Z' + S + W - x)^-1``, a block diagonal matrix of order 2K + 1.

    Its blocks are ``diag(n_a q_a / p)``, ``M (I - P) M'`` and ``sum_a (n_a / p) q_a 2 tr(S_a^2) / (p rho_a^2)``; the
    blocks between ``J``, ``Z M'`` and ``psi`` vanish in the limit.

    Parameters
    ----------
    model : ClassModel
        The model.
    traces : Traces
        Of the covariances of the classes that are not empty, without noise.
    components : tuple of Component
        Their solutions.
    """

    model: ClassModel
    traces: Traces
    components: tuple[Component, ...]

    def at(self, x: float) -> tuple[FloatArray, FloatArray]:
        """Return the response and its derivative at a point outside the support, or at a soft edge."""
        q, slope = np.zeros(self.model.n_classes), np.zeros(self.model.n_classes)
        for component in self.components:
            q[component.classes], slope[component.classes] = component.outside(x)
        captured = self.traces.captured(q[self._active], slope[self._active])
        return self._blocks(q, captured[0]), self._blocks(slope, captured[1])

    def is_wall(self, x: float) -> bool:
        """Tell whether the response may be infinite at a point."""
        return any(component.is_wall(x) for component in self.components)

    @cached_property
    def gram(self) -> FloatArray:
        """Return the limit of ``U' U``."""
        ones = np.ones(self.model.n_classes)
        inner = self.traces.captured(np.zeros(len(self._active)), ones[self._active])[1]
        return self._blocks(ones, inner)

    @property
    def _active(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.model.counts)

    @cached_property
    def _norms(self) -> FloatArray:
        """Return ``2 tr(S_a^2) / (p rho_a^2)``."""
        out = np.zeros(self.model.n_classes)
        out[self._active] = 2.0 * np.diagonal(self.traces.products())
        return out / self.model.norm_scales**2

    def _blocks(self, q: FloatArray, means: FloatArray) -> FloatArray:
        k = self.model.n_classes
        weighted = self.model.counts / self.model.p * q
        out = np.zeros((2 * k + 1, 2 * k + 1))
        out[range(k), range(k)] = weighted
        out[k : 2 * k, k : 2 * k] = means
        out[2 * k, 2 * k] = weighted @ self._norms
        return out
