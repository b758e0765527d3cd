"""How well a matched network reproduces the kernel of its DEQ on data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from notsodeep.kernels import api
from notsodeep.kernels.distance import relative_distance

if TYPE_CHECKING:
    from notsodeep.matching.match import Match


@dataclass(frozen=True)
class Fidelity:
    """Distances of the exact kernels of a DEQ and of its shallow network on n samples."""

    kernel: str
    """``"ck"`` or ``"ntk"``"""
    n: int
    spectral: float
    """``|K_deq - K_network| / |K_deq|`` in the spectral norm"""
    frobenius: float
    """The same in the Frobenius norm"""

    @classmethod
    def of(cls, match: Match, X: Any) -> Fidelity:
        """Return the distances on samples ``X (n, p)``."""
        deq, network = kernel_pair(match, X)
        distance = relative_distance(deq, network)
        return cls(match.kernel, len(deq), distance.spectral, distance.frobenius)


def kernel_pair(match: Match, X: Any, Y: Any = None) -> tuple[Any, Any]:
    """Return the exact kernels ``(n, m)`` that were matched: the DEQ's and the network's."""
    if match.kernel == "ck":
        return api.ck(match.deq, X, Y), api.ck(match.spec, X, Y)
    return api.ntk(match.deq, X, Y, trainable=match.trainable), api.ntk(match.spec, X, Y)
