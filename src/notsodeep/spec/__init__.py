"""What is given: frozen, validated descriptions of a model. One spec gives both network and kernel."""

from notsodeep.spec.models import DEQ, MLP, Layer, Parallel, Spec
from notsodeep.spec.weights import branches_of, layers_of, trainable_weights, weight_names
from notsodeep.spec.writing import from_dict, to_dict

__all__ = [
    "DEQ",
    "MLP",
    "Layer",
    "Parallel",
    "Spec",
    "branches_of",
    "from_dict",
    "layers_of",
    "to_dict",
    "trainable_weights",
    "weight_names",
]
