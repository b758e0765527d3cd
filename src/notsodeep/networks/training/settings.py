"""How a network is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from notsodeep.checks import choice, integer, number
from notsodeep.networks.weight import OPTIMIZERS, PARAMETRIZATIONS

LOSSES = ("cross_entropy", "mse")


@dataclass(frozen=True)
class TrainSettings:
    """Which weights are trained, on what loss, and how; the defaults are the protocol of arXiv:2402.02697.

    Raises
    ------
    ValueError
        When a value is illegal, or two of them do not go together.

    Examples
    --------
    >>> TrainSettings(trainable="all", optimizer="adam", lr=1e-3).trainable
    'all'
    """

    trainable: str | tuple[str, ...] = ("readout",)
    """``"all"``, or names of weights (:func:`notsodeep.spec.weight_names`)"""
    loss: str = "cross_entropy"
    """``"cross_entropy"``, or ``"mse"``: the squared error, averaged over samples and outputs"""
    optimizer: str = "sgd"
    """``"sgd"`` or ``"adam"``"""
    lr: float = 1.0
    """Learning rate; a layer of an explicit network gets its own multiple of it"""
    momentum: float = 0.0
    """Of SGD"""
    weight_decay: float = 0.0
    """Multiple of the weights, as ``parametrization`` has them, that is added to their gradient"""
    epochs: int = 100
    batch_size: int = 128
    seed: int = 0
    """Of the order of the samples, and of which are held out"""
    parametrization: str = "ntk"
    """``"ntk"``, or ``"standard"``: as weights of variance ``sigma^2 / fan-in`` are trained"""
    validation: float = 0.0
    """Share of the samples that is held out"""
    patience: int | None = None
    """Stop after so many epochs without a lower loss on what is held out, and go back to the best weights"""

    def __post_init__(self) -> None:
        if self.trainable != "all":
            names = (self.trainable,) if isinstance(self.trainable, str) else self.trainable
            if not isinstance(names, Iterable):
                raise ValueError(f"trainable must be 'all' or names of weights, got {names!r}")
            object.__setattr__(self, "trainable", tuple(names))
        choice("loss", self.loss, LOSSES)
        choice("optimizer", self.optimizer, OPTIMIZERS)
        choice("parametrization", self.parametrization, PARAMETRIZATIONS)
        for name in ("lr", "momentum", "weight_decay", "validation"):
            object.__setattr__(self, name, number(name, getattr(self, name), low=0.0, strict=name == "lr"))
        if self.momentum >= 1.0:
            raise ValueError(f"momentum must be less than 1, got {self.momentum!r}")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum is of sgd, and optimizer is {self.optimizer!r}: leave one of the two out")
        for name, low in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            object.__setattr__(self, name, integer(name, getattr(self, name), low=low))
        if self.validation >= 1.0:
            raise ValueError(f"validation must be less than 1, got {self.validation!r}")
        if self.patience is not None:
            integer("patience", self.patience, low=1)
            if not self.validation:
                raise ValueError("patience needs samples that are held out: give a share of them as validation")
