"""Design of shallow networks with the kernels of a DEQ."""

from notsodeep.matching.families import FAMILIES
from notsodeep.matching.match import Match, match

__all__ = ["FAMILIES", "Match", "match"]
