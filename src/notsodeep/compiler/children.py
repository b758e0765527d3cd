"""Which children of a torch module are the parts of an implicit layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from notsodeep.activations import Activation
from notsodeep.compiler.recognition import recognised

_ACTIVATIONS = "torch.nn.modules.activation"


@dataclass(frozen=True)
class Parts:
    """The parts of an implicit layer, as the module has them."""

    recurrent: Any
    input: Any
    activation: Any
    readout: Any


def parts_of(module: torch.nn.Module, recurrent: Any, input: Any, activation: Any, readout: Any) -> Parts:  # noqa: A002
    """Return the parts: those that are named (dotted names of children or parameters), else the only ones that fit.

    Raises
    ------
    ValueError
        When a name leads nowhere, or several parts fit or none does; the message lists what the module has.
    """
    linear = {name: child for name, child in module.named_modules() if isinstance(child, torch.nn.Linear)}
    listed = _listed(module)
    W = _named(module, "recurrent", recurrent, listed)
    if W is None:
        square = {name: child for name, child in linear.items() if child.in_features == child.out_features}
        W = _only("recurrent", "a square Linear", square, listed)
    m = int(_weight(W).shape[0])
    U = _named(module, "input", input, listed)
    if U is None:
        fits = {name: child for name, child in linear.items() if child is not W and child.out_features == m}
        U = _only("input", f"another Linear with {m} outputs", fits, listed)
    R = _named(module, "readout", readout, listed)
    if R is None:
        used = [id(W), id(U)]
        fits = {name: child for name, child in linear.items() if id(child) not in used and child.in_features == m}
        R = _only("readout", f"another Linear with {m} inputs", fits, listed) if fits else None
    return Parts(W, U, _activation(module, activation, listed), R)


def _named(module: torch.nn.Module, part: str, name: Any, listed: str) -> Any:
    """Return the child or parameter of a dotted name; anything else as it is."""
    if not isinstance(name, str):
        return name
    found: Any = module
    for step in name.split("."):
        found = found[int(step)] if step.isdigit() and hasattr(found, "__getitem__") else getattr(found, step, None)
        if found is None:
            raise ValueError(f"{part} must name a child or a parameter of the module, got {name!r}; it has {listed}")
    return found


def _weight(part: Any) -> torch.Tensor:
    return part.weight if isinstance(part, torch.nn.Linear) else torch.as_tensor(part)


def _only(part: str, what: str, fits: dict[str, Any], listed: str) -> Any:
    if len(fits) == 1:
        return next(iter(fits.values()))
    got = f"{len(fits)} fit ({', '.join(fits)})" if fits else "there is none"
    raise ValueError(
        f"{part} must be {what}, and {got}; the module has {listed}: name one to "
        f"ImplicitLayer.from_module, as in {part}='a.child'"
    )


def _activation(module: torch.nn.Module, given: Any, listed: str) -> Any:
    if given is not None:
        child = (
            module.get_submodule(given) if isinstance(given, str) and given in dict(module.named_modules()) else given
        )
        return child
    children = {
        name: child for name, child in module.named_modules() if type(child).__module__ == _ACTIVATIONS and name
    }
    found: dict[Activation, str] = {}
    for name, child in children.items():
        found.setdefault(recognised(child), name)
    if len(found) == 1:
        return next(iter(found))
    got = f"{len(found)} are different ({', '.join(found.values())})" if found else "there is none"
    raise ValueError(
        f"activation must be a child of the module, and {got}; the module has {listed}: give its name, a function or "
        "the name of a child to ImplicitLayer.from_module, as in activation='tanh'"
    )


def _listed(module: torch.nn.Module) -> str:
    """Say which leaves the module has, and which parameters of its own."""
    leaves = [
        f"{name}: {child}" for name, child in module.named_modules() if name and not any(True for _ in child.children())
    ]
    own = [f"{name}: parameter of shape {tuple(p.shape)}" for name, p in module.named_parameters(recurse=False)]
    return ", ".join([*leaves, *own]) or "no children"
