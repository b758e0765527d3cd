"""Solvers of fixed points of a batch of states, and the record of how they went."""

from notsodeep.networks.solvers.loop import SOLVERS, RowMap, fixed_point
from notsodeep.networks.solvers.record import SolveRecord, default_tolerance, require_convergence

__all__ = ["SOLVERS", "RowMap", "SolveRecord", "default_tolerance", "fixed_point", "require_convergence"]
