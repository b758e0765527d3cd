"""Scaling of raw samples to the units of the theory, with statistics of the training samples only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray, choice, samples

MODES = ("mean", "sample")
_ROUNDING = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Scaler:
    """Affine map from raw to scaled samples, fitted on training samples and applied to any.

    ``mode="mean"``: ``(x - center) / scale``; the training samples then have mean squared norm 1.
    ``mode="sample"``: ``(x - center) / |x - center|``; every sample then has norm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.data import Scaler
    >>> X = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0]])
    >>> scaled = Scaler.fit(X, mode="mean").apply(X)
    >>> round(float((scaled**2).sum(axis=1).mean()), 12)
    1.0
    """

    mode: str
    center: FloatArray
    """Mean of the training samples, ``(p,)``"""
    scale: float
    """Root mean squared norm of the centred training samples"""

    @classmethod
    def fit(cls, X: Any, mode: str = "mean") -> Scaler:
        """Return the scaler of the training samples ``X (n, p)``.

        Raises
        ------
        ValueError
            When ``mode`` is unknown, ``X`` is not at least 2 finite non-zero samples, or all samples are equal.
        """
        mode = choice("mode", mode, MODES)
        X = samples("X", X, at_least=2)
        with np.errstate(over="ignore", invalid="ignore"):
            center = X.mean(axis=0)
            centred = X - center
            rest = centred.mean(axis=0)  # the rounding of the first mean: a second pass takes it out
            centred -= rest
            scale = math.sqrt(float(np.vdot(centred, centred)) / len(X))
        if not math.isfinite(scale):
            raise ValueError(f"X has values too large to square (up to {np.abs(X).max():.3g}); divide it by a constant")
        if scale <= _ROUNDING * float(np.linalg.norm(center)) or scale == 0.0:
            raise ValueError(f"X has {len(X)} samples that are all equal: nothing is left after centring")
        return cls(mode, center + rest, scale)

    def apply(self, X: Any, name: str = "X") -> FloatArray:
        """Return ``X`` scaled, a new float64 array of the same shape.

        Raises
        ------
        ValueError
            When ``X`` does not fit the scaler, is not finite or has an all-zero sample, or a sample
            equals the training mean: its direction is then undefined. ``name`` is what messages call it.
        """
        X = samples(name, X)
        if X.shape[1] != len(self.center):
            raise ValueError(f"{name} must have {len(self.center)} features as the training samples, got {X.shape[1]}")
        out = X - self.center
        norms = np.sqrt(np.einsum("ij,ij->i", out, out))
        lost = np.flatnonzero(norms <= _ROUNDING * np.linalg.norm(self.center))
        if lost.size:
            raise ValueError(
                f"{name} has {lost.size} samples equal to the training mean (the first is row {lost[0]}): "
                "they are all zero after centring; remove them"
            )
        out /= self.scale if self.mode == "mean" else norms[:, None]
        return np.asarray(out)
