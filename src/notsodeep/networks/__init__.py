"""Finite torch networks of a spec, their storage, and their empirical kernels."""

from notsodeep.networks.deq import DEQNetwork
from notsodeep.networks.empirical import empirical_ck, empirical_ntk
from notsodeep.networks.explicit import ExplicitNetwork
from notsodeep.networks.feature_cache import cached_features
from notsodeep.networks.labels import class_indices, one_hot
from notsodeep.networks.memory import memory_bits
from notsodeep.networks.monte_carlo import KernelError, SampledKernel, sampled_kernel
from notsodeep.networks.parallel import ParallelNetwork
from notsodeep.networks.ridge import RidgeChoice, RidgeReadout, fit_ridge
from notsodeep.networks.solvers import SolveRecord
from notsodeep.networks.storage import load, save
from notsodeep.networks.training import Epoch, TrainResult, TrainSettings, train

DEQ, Explicit, Parallel = DEQNetwork, ExplicitNetwork, ParallelNetwork
"""The same classes: within ``notsodeep.networks`` it goes without saying that they are networks."""

__all__ = [
    "DEQ",
    "DEQNetwork",
    "Epoch",
    "Explicit",
    "ExplicitNetwork",
    "KernelError",
    "Parallel",
    "ParallelNetwork",
    "RidgeChoice",
    "RidgeReadout",
    "SampledKernel",
    "SolveRecord",
    "TrainResult",
    "TrainSettings",
    "cached_features",
    "class_indices",
    "empirical_ck",
    "empirical_ntk",
    "fit_ridge",
    "load",
    "memory_bits",
    "one_hot",
    "sampled_kernel",
    "save",
    "train",
]
