"""Names of the weights of a model, and its parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from notsodeep.spec.models import DEQ, MLP, Layer, Parallel, Spec


def trainable_weights(spec: Spec, trainable: str | Iterable[str]) -> frozenset[str]:
    """Return the set of weights that ``trainable`` names, ``"all"`` meaning every one.

    A DEQ has ``recurrent``, ``input``, ``bias`` and ``readout``; an MLP has ``layer1``, ``bias1``, ``layer2``, ...
    and ``readout``; parallel branches have ``branch1.layer1``, ..., ``branch2.layer1``, ... and one ``readout``.
    A bias of variance 0 is none.

    Raises
    ------
    ValueError
        When the set is empty or names something that the spec does not have.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.spec import trainable_weights
    >>> sorted(trainable_weights(nsd.DEQ("tanh", sigma_c2=0.1), "all"))
    ['bias', 'input', 'readout', 'recurrent']
    """
    legal = weight_names(spec)
    if isinstance(trainable, str):
        trainable = legal if trainable == "all" else (trainable,)
    if not isinstance(trainable, Iterable):
        raise ValueError(f"trainable must be 'all' or names among {legal}, got {trainable!r}")
    chosen = frozenset(trainable)
    unknown = sorted(chosen - set(legal), key=repr)
    if unknown or not chosen:
        got = f"{unknown[0]!r}{_absent_bias(spec, unknown[0])}" if unknown else "none"
        raise ValueError(f"trainable must be 'all' or one or more of {legal}, got {got}")
    return chosen


def _absent_bias(spec: Spec, name: Any) -> str:
    """Say why ``spec`` has no bias of this name; nothing where the name means no bias of it."""
    if isinstance(spec, DEQ):
        return ": this DEQ has no bias, its sigma_c2 is 0" if name == "bias" else ""
    biases = (f"{prefix}bias{i}" for prefix, mlp in _named(spec) for i in range(1, mlp.depth + 1))
    where = next((place for bias, (place, _) in zip(biases, layers_of(spec), strict=True) if bias == name), None)
    return f": {where} has no bias, its bias_var is 0" if where else ""


def weight_names(spec: Spec) -> tuple[str, ...]:
    """Return the names of the weights of ``spec`` in the order in which the input meets them."""
    if isinstance(spec, DEQ):
        return ("recurrent", "input", *(("bias",) if spec.sigma_c2 > 0 else ()), "readout")
    if isinstance(spec, MLP | Parallel):
        return (*(prefix + name for prefix, mlp in _named(spec) for name in _hidden_names(mlp)), "readout")
    raise ValueError(f"spec must be a DEQ, an MLP or a Parallel, got {spec!r}")


def branches_of(spec: MLP | Parallel, trained: frozenset[str]) -> tuple[tuple[MLP, frozenset[str]], ...]:
    """Return the MLPs whose kernels those of ``spec`` are sums of, each with its own trained weights.

    ``trained`` has names of ``spec``; those that are returned are names of the MLP. An MLP is its only branch.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.spec import branches_of
    >>> par = nsd.Parallel((nsd.MLP(nsd.Layer("tanh")), nsd.MLP(nsd.Layer("relu"))))
    >>> [sorted(own) for _, own in branches_of(par, frozenset({"branch2.layer1", "readout"}))]
    [['readout'], ['layer1', 'readout']]
    """
    readout = trained & {"readout"}
    return tuple(
        (mlp, readout | {name for name in _hidden_names(mlp) if prefix + name in trained})
        for prefix, mlp in _named(spec)
    )


def layers_of(spec: MLP | Parallel) -> tuple[tuple[str, Layer], ...]:
    """Return every layer with its place in words: ``layer 1``, or ``layer 1 of branch 2``."""
    if isinstance(spec, MLP):
        return tuple((f"layer {i}", layer) for i, layer in enumerate(spec.layers, 1))
    numbered = enumerate(spec.branches, 1)
    return tuple((f"{place} of branch {b}", layer) for b, mlp in numbered for place, layer in layers_of(mlp))


def _named(spec: MLP | Parallel) -> list[tuple[str, MLP]]:
    """Return the branches with what the names of their weights begin with."""
    if isinstance(spec, MLP):
        return [("", spec)]
    return [(f"branch{number}.", mlp) for number, mlp in enumerate(spec.branches, 1)]


def _hidden_names(mlp: MLP) -> tuple[str, ...]:
    return tuple(name for i, layer in enumerate(mlp.layers, 1) for name in _names_of(layer, i))


def _names_of(layer: Layer, number: int) -> tuple[str, ...]:
    return (f"layer{number}", f"bias{number}") if layer.bias_var > 0 else (f"layer{number}",)
