"""The main job's result as plain JSON data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from notsodeep._version import __version__
from notsodeep.data import Dataset
from notsodeep.experiments.twin import TwinResult
from notsodeep.report.facts import NAMES, Facts
from notsodeep.report.wording import headline
from notsodeep.spec import DEQ, to_dict

FORMAT_VERSION = 1


def twin_document(result: TwinResult) -> dict[str, Any]:
    """Return everything but the matrices and the weights as JSON data: no NumPy types, null for NaN and infinity.

    ``deq`` and ``network`` are specs as :func:`notsodeep.spec.to_dict` writes them (a DEQ with an activation of the
    user's own is code: ``repr`` tells what it was); ``data.scaler`` holds the arguments of
    :class:`notsodeep.data.Scaler`, null where the samples were not scaled.
    """
    found, facts = result.match, Facts.of(result)
    names = NAMES[found.kernel]
    document = {
        "format": FORMAT_VERSION,
        "version": __version__,
        "summary": headline(result),
        "kernel": found.kernel,
        "trainable": sorted(found.trainable),
        "family": found.family,
        "status": found.status,
        "reason": found.reason,
        "residual": found.residual,
        "deq": _deq(found.deq),
        "network": to_dict(found.spec),
        "coefficients": {
            "deq": asdict(facts.deq),
            "network": asdict(facts.network),
            "relative_difference": dict(zip(names, facts.differences, strict=True)),
        },
        "stability": {
            "contraction": facts.rest.contraction,
            "global_contraction": facts.rest.global_contraction,
            "wide_contraction": facts.rest.wide_contraction,
        },
        "distance": {"network": asdict(result.distance), "equivalent": asdict(result.equivalent_distance)},
        "accuracy": {"kernel_ridge": result.kernel_accuracy, "finite": result.finite_accuracy},
        "forward": {name: asdict(cost) for name, cost in result.forward.items()},
        "data": _data(result.samples.train, result.samples.test),
        "width": result.config.width,
        "seed": result.config.seed,
    }
    return dict(plain(document))


def plain(value: Any) -> Any:
    """Return ``value`` with the types of JSON only.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"a": np.arange(2), "b": (np.float64(0.5), float("nan"))})
    {'a': [0, 1], 'b': [0.5, None]}
    """
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} is no JSON data: {value!r}")


def _deq(deq: DEQ) -> dict[str, Any]:
    return to_dict(deq) if deq.activation.is_registered else {"kind": "DEQ", "repr": repr(deq)}


def _data(train: Dataset, test: Dataset) -> dict[str, Any]:
    scaler = train.scaler
    return {
        "name": train.name,
        "n": train.n,
        "n_test": test.n,
        "p": train.p,
        "classes": train.classes,
        "scaler": None if scaler is None else {"mode": scaler.mode, "center": scaler.center, "scale": scaler.scale},
    }
