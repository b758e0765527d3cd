"""Design of shallow networks with the kernels of a DEQ."""

from notsodeep.matching.families import FAMILIES
from notsodeep.matching.match import Match, match
from notsodeep.matching.reduction import match_any

__all__ = ["FAMILIES", "Match", "match", "match_any"]
