"""The limiting spectrum of a class model: its bulk, and the eigenvalues that leave it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from notsodeep.spectra.bulk import Bulk
from notsodeep.spectra.components import components
from notsodeep.spectra.model import ClassModel
from notsodeep.spectra.noise import Noisy
from notsodeep.spectra.traces import Traces, traces_of


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Limiting spectrum of a class model."""

    model: ClassModel
    bulk: Bulk


def limiting_spectrum(model: ClassModel) -> Spectrum:
    """Return the limiting spectrum."""
    if not isinstance(model, ClassModel):
        raise ValueError(f"model must be a ClassModel, got {type(model).__name__}")
    classes = np.flatnonzero(model.counts)
    traces: Traces = traces_of(model.covariances[classes], model.counts[classes] / model.p, model.means)
    if model.noise.any():
        noise = model.noise[np.ix_(classes, classes)]
        traces = Noisy(traces, model.counts[classes] / model.p, noise)
    return Spectrum(model, Bulk(components(model, traces, classes), model.n, model.p))
