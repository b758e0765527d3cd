"""How well a matched network reproduces the kernels of its DEQ on data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from notsodeep.kernels import api
from notsodeep.kernels.distance import Distance, relative_distance

if TYPE_CHECKING:
    from notsodeep.matching.match import Match


@dataclass(frozen=True)
class Fidelity:
    """Distances of the exact kernels of a DEQ and of its shallow network on n samples."""

    kernel: str
    """``"ck"``, ``"ntk"`` or ``"both"``"""
    n: int
    spectral: float
    """``|K_deq - K_network| / |K_deq|`` in the spectral norm; of both kernels the larger one"""
    frobenius: float
    """The same in the Frobenius norm"""
    distances: dict[str, Distance] = field(repr=False)
    """Those of each kernel, by its name"""

    @classmethod
    def of(cls, match: Match, X: Any) -> Fidelity:
        """Return the distances on samples ``X (n, p)``."""
        pairs = kernel_pairs(match, X)
        distances = {name: relative_distance(*pair) for name, pair in pairs.items()}
        return cls(
            kernel=match.kernel,
            n=len(next(iter(pairs.values()))[0]),
            spectral=max(each.spectral for each in distances.values()),
            frobenius=max(each.frobenius for each in distances.values()),
            distances=distances,
        )


def kernel_pairs(match: Match, X: Any, Y: Any = None) -> dict[str, tuple[Any, Any]]:
    """Return the exact kernels ``(n, m)`` that were matched, by name: the DEQ's and the network's."""
    if match.kernel == "ck":
        return {"ck": (api.ck(match.deq, X, Y), api.ck(match.spec, X, Y))}
    if match.kernel == "ntk":
        deq, network = api.ntk(match.deq, X, Y, match.trainable), api.ntk(match.spec, X, Y, match.network_trainable)
        return {"ntk": (deq, network)}
    both = api.kernels(match.deq, X, Y, match.trainable), api.kernels(match.spec, X, Y, match.network_trainable)
    return dict(zip(("ck", "ntk"), zip(*both, strict=True), strict=True))
