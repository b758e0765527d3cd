"""Independent noise on the entries of a class model: what squared and higher products leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.spectra.traces import Traces

_UNBOUNDED = 2.0**60  # rank, over p, of a matrix whose entries are independent: no atom survives it


class Noisy:
    """Traces of a model with noise: ``tr(S_a P)/p`` less ``sum_b w_b v_ab q_b``, and what follows from it.

    The noise is a symmetric matrix with independent entries of variance ``v_ab / p``, free from the Gram matrix.
    """

    def __init__(self, inner: Traces, weights: FloatArray, variances: FloatArray) -> None:
        self._inner, self._weights, self._variances = inner, weights, variances

    def traces(self, q: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return ``tr(S_a P)/p`` and ``tr(S_a P S_b P)/p`` of the model with noise."""
        single, pairs = self._inner.traces(q)
        return single - (q * self._weights) @ self._variances, pairs + self._variances

    def negative(self, q: FloatArray) -> float:
        """Return the number of negative eigenvalues of ``P``, over p."""
        return self._inner.negative(q)

    def captured(self, q: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``M (I - P) M'`` and its derivative along ``slope``."""
        return self._inner.captured(q, slope)

    def rank(self, classes: Sequence[int]) -> float:
        """Return the dimension of the sum of some ranges, over p; unbounded where there is noise."""
        noisy = self._variances[np.ix_(classes, classes)].any()
        return _UNBOUNDED if noisy else self._inner.rank(classes)

    def norms(self) -> FloatArray:
        """Return bounds of the spectral norms."""
        return np.asarray(self._inner.norms() + 2.0 * np.sqrt(self._variances @ self._weights))

    def below(self) -> float:
        """Return how far the spectrum may reach below the smallest shift."""
        return float(2.0 * np.sqrt(self._variances @ self._weights).max())

    def products(self) -> FloatArray:
        """Return ``tr(S_a S_b)/p`` and the variances."""
        return np.asarray(self._inner.products() + self._variances)

    def take(self, classes: Sequence[int]) -> Traces:
        """Return the traces of some of the classes."""
        chosen = list(classes)
        return Noisy(self._inner.take(chosen), self._weights[chosen], self._variances[np.ix_(chosen, chosen)])
