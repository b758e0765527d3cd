"""Kernels of samples with themselves, given their norms alone."""

from __future__ import annotations

import numpy as np
import torch

from notsodeep.checks import FloatArray
from notsodeep.kernels.explicit import ExplicitModel
from notsodeep.kernels.implicit import ImplicitModel
from notsodeep.kernels.model import Model
from notsodeep.kernels.parallel import ParallelModel
from notsodeep.kernels.samples import Block
from notsodeep.spec import DEQ, MLP, Spec


def model_of(spec: Spec, trained: frozenset[str], low: float, high: float) -> Model:
    """Return ``spec`` prepared for samples with norms from ``low`` to ``high``."""
    if isinstance(spec, DEQ):
        return ImplicitModel(spec, trained, low, high)
    return (ExplicitModel if isinstance(spec, MLP) else ParallelModel)(spec, trained, low, high)  # type: ignore[arg-type]


def diagonals_at(spec: Spec, squared_norms: FloatArray, trained: frozenset[str]) -> tuple[FloatArray, FloatArray]:
    """Return both kernels ``(m,)`` of samples of these squared norms with themselves."""
    low, high = np.sqrt(squared_norms.min()), np.sqrt(squared_norms.max())
    model = model_of(spec, trained, float(low), float(high))
    norms = torch.from_numpy(squared_norms)
    found = model.diagonals(model.side(Block(norms.sqrt()[:, None], norms)))
    return found.ck.numpy(), found.ntk.numpy()
