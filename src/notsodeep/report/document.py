"""The main job's result as plain JSON data."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from notsodeep._version import __version__
from notsodeep.data import Dataset
from notsodeep.experiments.twin import TwinResult
from notsodeep.report.facts import NAMES, Facts
from notsodeep.report.wording import headline
from notsodeep.spec import DEQ, Spec, layers_of, to_dict

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
        "deq": spec_data(found.deq),
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
        "data": samples_data(result.samples.train) | {"n_test": result.samples.test.n},
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


def json_text(document: dict[str, Any]) -> str:
    """Return a document as its file has it."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def spec_data(spec: Spec) -> dict[str, Any]:
    """Return a spec as JSON data; ``repr`` tells what one with an activation of the user's own was."""
    activations = [spec.activation] if isinstance(spec, DEQ) else [layer.activation for _, layer in layers_of(spec)]
    if all(activation.is_registered for activation in activations):
        return to_dict(spec)
    return {"kind": type(spec).__name__, "repr": repr(spec)}


def samples_data(samples: Dataset) -> dict[str, Any]:
    """Return what samples are called, their sizes, classes and scaling."""
    scaler = samples.scaler
    return {
        "name": samples.name,
        "n": samples.n,
        "p": samples.p,
        "classes": samples.classes,
        "scaler": None if scaler is None else {"mode": scaler.mode, "center": scaler.center, "scale": scaler.scale},
    }
