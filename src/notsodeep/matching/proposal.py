"""What a family answers: a network, how far it is from the target, and why if it is."""

from __future__ import annotations

from dataclasses import dataclass

from notsodeep.spec import MLP


@dataclass(frozen=True)
class Proposal:
    """A family's best network for a target."""

    spec: MLP
    residual: float
    """Largest relative miss of the target's numbers"""
    reason: str
    """Why the target is not met exactly; empty where it is expected to be"""
    settled: bool = True
    """Whether the search ended at a stationary point"""
