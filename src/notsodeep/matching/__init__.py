"""Design of shallow networks with the kernels of a DEQ."""

from notsodeep.matching.match import FAMILIES, Match, match

__all__ = ["FAMILIES", "Match", "match"]
