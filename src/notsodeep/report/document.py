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
from notsodeep.matching.plan import sizes
from notsodeep.matching.search import Solution
from notsodeep.matching.target import NAMES
from notsodeep.report.facts import Facts, KernelFacts
from notsodeep.report.wording import headline
from notsodeep.spec import DEQ, Spec, layers_of, to_dict

FORMAT_VERSION = 1


def twin_document(result: TwinResult) -> dict[str, Any]:
    """Return everything but the matrices and the weights as JSON data: no NumPy types, null for NaN and infinity.

    ``coefficients``, ``distance`` and ``accuracy.kernel_ridge`` are by kernel, ``ck`` or ``ntk`` or both; ``memory`` is
    in bits, of the hidden weights; ``others`` are further networks with the same coefficients, closest first.
    ``deq`` and ``network`` are specs as :func:`notsodeep.spec.to_dict` writes them (a DEQ with an activation of the
    user's own is code: ``repr`` tells what it was); ``data.scaler`` holds the arguments of
    :class:`notsodeep.data.Scaler`, null where the samples were not scaled.
    """
    found, facts, evidence = result.match, Facts.of(result), result.evidence
    document = {
        "format": FORMAT_VERSION,
        "version": __version__,
        "summary": headline(result),
        "kernel": found.kernel,
        "trainable": sorted(found.trainable),
        "network_trainable": sorted(found.network_trainable),
        "family": found.family,
        "status": found.status,
        "reason": found.reason,
        "residual": found.residual,
        "kernel_distance": found.distance,
        "idle": found.idle,
        "deq": spec_data(found.deq),
        "network": to_dict(found.spec),
        "others": [_solution_data(one) for one in found.solutions[1:]],
        "coefficients": {name: _coefficients(name, numbers) for name, numbers in facts.kernels.items()},
        "stability": {
            "contraction": facts.rest.contraction,
            "global_contraction": facts.rest.global_contraction,
            "wide_contraction": facts.rest.wide_contraction,
        },
        "distance": {
            name: {"network": asdict(one.distance), "equivalent": asdict(one.equivalent_distance)}
            for name, one in evidence.items()
        },
        "accuracy": {
            "kernel_ridge": {name: one.accuracy for name, one in evidence.items()},
            "finite": result.finite.accuracy,
        },
        "forward": {name: asdict(cost) for name, cost in result.finite.forward.items()},
        "memory": {name: asdict(bits) for name, bits in result.finite.memory.items()},
        "data": samples_data(result.samples.train) | {"n_test": result.samples.test.n},
        "width": result.config.width,
        "weights": result.config.weights,
        "sparsity": result.finite.network.options["sparsity"],
        "seed": result.config.seed,
    }
    return dict(plain(document))


def _coefficients(kernel: str, found: KernelFacts) -> dict[str, Any]:
    return {
        "deq": asdict(found.deq),
        "network": asdict(found.network),
        "relative_difference": dict(zip(NAMES[kernel], found.differences, strict=True)),
    }


def _solution_data(solution: Solution) -> dict[str, Any]:
    """Return a network with the same coefficients; ``layers`` are those of each branch."""
    return {
        "family": solution.family,
        "layers": sizes(solution),
        "kernel_distance": solution.distance,
        "residual": solution.residual,
        "network": to_dict(solution.spec),
    }


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
