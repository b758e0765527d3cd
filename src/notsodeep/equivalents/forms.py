"""All forms of an equivalent side by side, and how far each is from the exact kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from notsodeep.checks import FloatArray
from notsodeep.data import Statistics
from notsodeep.equivalents.assembly import equivalent
from notsodeep.equivalents.operator import EquivalentOperator
from notsodeep.errors import NotCoveredError
from notsodeep.kernels.distance import spectral_norm
from notsodeep.spec import Spec


def all_forms(
    spec: Spec, X: Any, stats: Statistics, kernel: str, trainable: str | Iterable[str], tau0: float | None = None
) -> dict[str, EquivalentOperator]:
    """Return the forms that exist for the model: ``"paper"``, ``"norm-aware"``, ``"exact squares"``.

    ``tau0`` is the scale at which explicit layers are centred, as in :func:`notsodeep.equivalent`.
    """
    forms = {
        "norm-aware": equivalent(spec, X, stats, kernel, "norm-aware", trainable),
        "exact squares": equivalent(spec, X, stats, kernel, "norm-aware", trainable, quadratic="exact"),
    }
    try:
        return {"paper": equivalent(spec, X, stats, kernel, trainable=trainable, tau0=tau0)} | forms
    except NotCoveredError:
        return forms


def form_errors(exact: FloatArray, forms: dict[str, EquivalentOperator]) -> dict[str, float]:
    """Return the relative spectral distance of each form from the exact kernel matrix."""
    size = spectral_norm(exact)
    return {name: spectral_norm(exact - bar.dense()) / size for name, bar in forms.items()}
