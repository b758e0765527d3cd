"""What can be asked of a compilation, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass

from notsodeep.checks import choice, integer, number
from notsodeep.matching.families import FAMILIES
from notsodeep.matching.target import KERNELS
from notsodeep.networks.ridge import RIDGE

READOUTS = ("auto", "labels", "distilled")


@dataclass(frozen=True)
class Options:
    """Options of :func:`notsodeep.compile`, which says what they mean."""

    kernel: str = "ck"
    width: int | None = None
    readout: str = "auto"
    family: str = "auto"
    holdout: float = 0.2
    ridge: float = RIDGE
    seed: int = 0
    on_failure: str = "raise"

    def __post_init__(self) -> None:
        choice("kernel", self.kernel, KERNELS)
        choice("readout", self.readout, READOUTS)
        choice("family", self.family, ("auto", *FAMILIES, "hermite"))
        choice("on_failure", self.on_failure, ("raise", "return"))
        if number("holdout", self.holdout, low=0.0, strict=True) >= 1.0:
            raise ValueError(f"holdout must be a share below 1, got {self.holdout!r}")
        number("ridge", self.ridge, low=0.0)
        integer("seed", self.seed, low=0)
        if self.width is not None:
            integer("width", self.width, low=2)

    def fitted_to(self, labelled: bool, has_readout: bool) -> str:
        """Return what the readout is fitted to: ``labels``, ``distilled`` or ``none``.

        Raises
        ------
        ValueError
            When that is not there.
        """
        if self.readout == "labels" and not labelled:
            raise ValueError("readout='labels' needs labels y")
        if self.readout == "distilled" and not has_readout:
            raise ValueError("readout='distilled' needs a DEQ with a readout, and this one has none")
        if self.readout == "auto":
            return "labels" if labelled else "distilled" if has_readout else "none"
        return self.readout
