"""Finite torch networks of a spec, their storage, and their empirical kernels."""

from notsodeep.networks.deq import DEQNetwork
from notsodeep.networks.empirical import empirical_ck
from notsodeep.networks.explicit import ExplicitNetwork
from notsodeep.networks.fixed_point import SolveRecord
from notsodeep.networks.memory import memory_bits
from notsodeep.networks.parallel import ParallelNetwork
from notsodeep.networks.storage import load, save

__all__ = [
    "DEQNetwork",
    "ExplicitNetwork",
    "ParallelNetwork",
    "SolveRecord",
    "empirical_ck",
    "load",
    "memory_bits",
    "save",
]
