"""How far a training run is, and that as tensors and JSON data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from notsodeep.networks.training.records import Epoch
from notsodeep.networks.training.settings import TrainSettings

_WEIGHTS, _BEST, _OPTIMIZER = "weights.", "best.", "optimizer."
_PLAIN = ("step", "loss", "hits", "seconds", "best_epoch", "best_loss")


@dataclass
class State:
    """What is behind a run: whole epochs, and steps of the one that is under way."""

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    """Batches of the epoch under way that are done"""
    loss: float = 0.0
    """Sum of the loss over their samples"""
    hits: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_loss: float = float("inf")
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """Weights after the best epoch; empty without patience"""

    @property
    def epoch(self) -> int:
        """Number of the epoch that is under way, or comes next."""
        return len(self.history) + 1

    def finished(self, settings: TrainSettings) -> bool:
        """Tell whether there is nothing left to do."""
        patience = settings.patience
        return len(self.history) >= settings.epochs or (
            patience is not None and len(self.history) - self.best_epoch >= patience
        )

    def close(self, epoch: Epoch) -> None:
        """Put an epoch behind."""
        self.history.append(epoch)
        self.step, self.loss, self.hits, self.seconds = 0, 0.0, 0, 0.0


def pack(
    state: State, weights: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return all that a run needs to go on: JSON data, and tensors by flat names."""
    described = {name: getattr(state, name) for name in _PLAIN}
    described["best_loss"] = state.best_loss if state.best else None
    described["history"] = [asdict(epoch) for epoch in state.history]
    tensors = {_WEIGHTS + name: weight.detach() for name, weight in weights.items()}
    tensors |= {_BEST + name: weight for name, weight in state.best.items()}
    for place, entries in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{place}.{key}": value for key, value in entries.items() if value is not None}
    return described, tensors


def unpack(
    described: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> State:
    """Bring weights and optimiser to where :func:`pack` found them, and return the state."""
    plain = {name: described[name] for name in _PLAIN}
    if plain["best_loss"] is None:
        del plain["best_loss"]
    best = {name: tensor.to(weights[name].device) for name, tensor in _part(tensors, _BEST).items()}
    state = State([Epoch(**epoch) for epoch in described["history"]], best=best, **plain)
    saved = _part(tensors, _WEIGHTS)
    if saved.keys() != weights.keys():
        raise ValueError(f"it has the weights {sorted(saved)}, not {sorted(weights)}")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[name])
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _part(tensors, _OPTIMIZER).items():
        place, key = name.split(".")
        entries.setdefault(int(place), {})[key] = tensor
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
