"""Specs as plain JSON data, and back."""

from __future__ import annotations

from typing import Any

from notsodeep.activations import Activation
from notsodeep.activations import activation as look_up
from notsodeep.spec.models import DEQ, MLP, Layer, Parallel, Spec
from notsodeep.spec.weights import weight_names


def to_dict(spec: Spec) -> dict[str, Any]:
    """Return ``spec`` as plain JSON data.

    Raises
    ------
    ValueError
        When an activation was made from a callable: code is not data.
    """
    if isinstance(spec, DEQ):
        plain = {k: getattr(spec, k) for k in ("sigma_a2", "sigma_b2", "tau0", "center", "sigma_c2")}
        return {"kind": "DEQ", "activation": _activation_to_dict(spec.activation)} | plain
    weight_names(spec)
    if isinstance(spec, Parallel):
        return {"kind": "Parallel", "branches": [to_dict(branch) for branch in spec.branches]}
    layers = [
        {
            "activation": _activation_to_dict(layer.activation),
            "weight_var": layer.weight_var,
            "learning_rate": layer.learning_rate,
            "bias_var": layer.bias_var,
        }
        for layer in spec.layers
    ]
    return {"kind": "MLP", "layers": layers}


def from_dict(data: dict[str, Any]) -> Spec:
    """Return the spec that :func:`to_dict` wrote; raise ``ValueError`` for anything else.

    Without ``sigma_c2`` or ``bias_var``, as written before there were biases, there is none.
    """
    try:
        given = dict(data)
        kind = given.pop("kind")
        if kind == "DEQ":
            return DEQ(activation=_activation_from_dict(given.pop("activation")), **given)
        if kind == "MLP":
            return MLP(
                tuple(Layer(_activation_from_dict(d.pop("activation")), **d) for d in map(dict, given["layers"]))
            )
        if kind == "Parallel":
            return Parallel(tuple(map(from_dict, given["branches"])))  # type: ignore[arg-type]  # which it checks
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the description of a spec: {error}") from error
    raise ValueError(f"not the description of a spec: kind is {kind!r}")


def _activation_to_dict(phi: Activation) -> dict[str, Any]:
    if not phi.is_registered:
        raise ValueError(f"{phi!r} was made from a callable and cannot be written down; register it by a name")
    return {"name": phi.name, "params": dict(phi.params), "offset": phi.offset}


def _activation_from_dict(data: dict[str, Any]) -> Activation:
    built = look_up(data["name"], **data["params"])
    by = data["offset"] - built.offset
    return built.shifted(by) if by else built
