"""How far the kernels of designed networks are from those of their DEQs, and what their activations look like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from notsodeep.activations import Activation
from notsodeep.checks import FloatArray
from notsodeep.data import Statistics
from notsodeep.equivalents import coefficients, equivalent
from notsodeep.equivalents.coefficients import layer_moments
from notsodeep.errors import NotCoveredError
from notsodeep.experiments.centred import centred_mlp
from notsodeep.experiments.reproduction.draws import draw
from notsodeep.experiments.reproduction.kernels import CK, KERNELS, exact_kernel
from notsodeep.experiments.reproduction.published_networks import figure_design, training_deq, training_design
from notsodeep.experiments.reproduction.rows import significant
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit
from notsodeep.experiments.samples import MIXTURE
from notsodeep.kernels.distance import relative_distance
from notsodeep.kernels.scalar import rest_point
from notsodeep.matching import match
from notsodeep.networks import sampled_kernel
from notsodeep.spec import DEQ, MLP, Spec

DESIGNS = ("published", "training", "training, centred", "training, its DEQ", "solved", "matched", "unmatched")
"""Networks: of the published figures; of the published training code, as it is, with its second layer centred, and as
it is beside the DEQ as that code has it; the same families with the equations solved; the closest of all families;
layers with the activation of the DEQ, centred"""
_OF_TWO_LAYERS = ("training, centred", "training, its DEQ")  # what they mend or change has no part in one layer
STAND_INS = ("equivalent", "norm-aware")
"""Random-matrix equivalents of the DEQ, in the paper's form and in the norm-aware one"""
SHAPES = ("published", "training", "solved", "matched")
"""Designs whose activations are drawn; those for a CK"""
FAMILIES = {"relu": "leaky_relu", "tanh": "hard_tanh"}
DEPTHS = {"relu": 2, "tanh": 1}
_DEVIATIONS = 3.0
_DIGITS = 7
_NEGLIGIBLE = 1e-12  # of the largest number: a target that symmetry makes vanish
_SECONDS = {"matched": 2.5, "solved": 2.5}


@dataclass(frozen=True)
class MatchingConfig(Config):
    """Which DEQs are matched, and on how many samples."""

    activations: tuple[str, ...]
    """Those that the published code has a design for: ReLU, tanh"""
    sigma_a2: float
    """Of the DEQs; ``sigma_b2 = 1 - sigma_a2``"""
    n: int
    """Samples; of a data set, of the classes 6 and 8"""
    designs: tuple[str, ...]
    """Of :data:`DESIGNS`"""
    width: int
    """Of finite networks"""
    networks: int
    """Finite networks whose kernels are averaged"""
    points: int
    """Of each activation that is drawn"""


FULL = MatchingConfig(
    seeds=5,
    datasets=(MIXTURE, "mnist"),
    activations=("relu", "tanh"),
    sigma_a2=0.2,
    n=800,
    designs=DESIGNS,
    width=1000,
    networks=10,
    points=121,
)
QUICK = MatchingConfig(
    seeds=1,
    datasets=("digits",),
    activations=("relu", "tanh"),
    sigma_a2=0.2,
    n=80,
    designs=tuple(name for name in DESIGNS if name != "matched"),
    width=100,
    networks=4,
    points=31,
)


def units(config: MatchingConfig) -> list[Unit]:
    """Return a unit for each design on each draw of samples, one for finite networks, and one for each activation."""
    found = []
    for seed, dataset, phi in product(range(config.seeds), config.datasets, config.activations):
        where: dict[str, Any] = {
            "dataset": dataset,
            "n": config.n,
            "seed": seed,
            "activation": phi,
            "sigma_a2": config.sigma_a2,
        }
        for name in (*STAND_INS, *(name for name in config.designs if _applies(name, phi))):
            work = _SECONDS.get(name, 0.7) if phi == "tanh" else 0.7
            found.append(Unit({"part": "exact", "design": name} | where, work=work))
        finite = {"width": config.width, "networks": config.networks}
        work = 1.0 + 1.1e-9 * config.networks * config.width**2 * config.n
        found.append(Unit({"part": "finite"} | where | finite, work=work))
    drawn: dict[str, Any] = {"sigma_a2": config.sigma_a2, "points": config.points}
    for phi, name in product(config.activations, ("DEQ", *SHAPES)):
        if name == "DEQ" or name in config.designs:
            found.append(Unit({"part": "shape", "design": name, "activation": phi} | drawn, work=0.2))
    return found


def _applies(name: str, phi: str) -> bool:
    return DEPTHS[phi] > 1 or name not in _OF_TWO_LAYERS


def run(unit: Unit, data_dir: Path | None = None) -> list[Row]:
    """Return the rows of one part.

    * ``exact``: relative distances of the exact kernels of a design (or of an equivalent) and of the DEQ, by kernel,
      with ``miss``, the largest relative miss of the four numbers (none where a layer is not centred);
    * ``finite``: relative distances of the mean CK of finite DEQs and those of finite networks of the published design,
      of other finite DEQs, and of the exact one;
    * ``shape``: values ``phi`` of an activation at pre-activations ``u``, of a layer.
    """
    at: Any = dict(unit.at)
    parts = {"exact": _exact, "finite": _finite, "shape": _shape}
    return [at | row for row in parts[at["part"]](at, data_dir)]


class _Case(NamedTuple):
    """Samples, their DEQ at their own scale, and its exact kernels by name."""

    X: FloatArray
    statistics: Statistics
    deq: DEQ
    kernels: dict[str, FloatArray]


@lru_cache(maxsize=1)
def _case(phi: str, sigma_a2: float, dataset: str, n: int, seed: int, data_dir: Path | None) -> _Case:
    X, statistics = draw(dataset, n, seed, data_dir)
    deq = DEQ(phi, sigma_a2, 1.0 - sigma_a2, tau0=float(np.sqrt(np.square(X).sum() / len(X))))
    return _Case(X, statistics, deq, {name: exact_kernel(deq, name, X) for name in KERNELS})


def _case_of(at: Any, data_dir: Path | None) -> _Case:
    return _case(at["activation"], at["sigma_a2"], at["dataset"], at["n"], at["seed"], data_dir)


def _exact(at: Any, data_dir: Path | None) -> list[Row]:
    case = _case_of(at, data_dir)
    rows: list[Row] = []
    for name, wanted in case.kernels.items():
        kernel, trainable = KERNELS[name]
        if at["design"] in STAND_INS:
            order = "paper" if at["design"] == "equivalent" else at["design"]
            found = equivalent(case.deq, case.X, case.statistics, kernel, order, trainable).dense()
            told: dict[str, Any] = {"network": None, "miss": None}
        else:
            design = designed(at["design"], case.deq, name)
            found = exact_kernel(design.spec, name, case.X, trainable=design.trained)
            if design.deq != case.deq:
                wanted = exact_kernel(design.deq, name, case.X)
            told = {"network": described(design.spec), "miss": design.miss}
        apart = relative_distance(wanted, found)
        numbers = {"spectral": apart.spectral, "frobenius": apart.frobenius}
        rows.append({"kernel": name} | {key: significant(value, _DIGITS) for key, value in (told | numbers).items()})
    return rows


class Design(NamedTuple):
    """A network for a DEQ."""

    spec: MLP
    trained: Any
    """Weights that its NTK trains"""
    deq: DEQ
    """What its kernels are compared with"""
    miss: float | None
    """Largest relative miss of the four numbers, where they exist"""


def designed(name: str, deq: DEQ, kernel: str = CK) -> Design:
    """Return a design of :data:`DESIGNS` for one kernel; those of the published code are for the CK, whichever it is.

    All weights of a network are trained, at the rates of its layers, where the kernel is an NTK.
    """
    phi = str(deq.activation.name)
    if name in ("solved", "matched"):
        which, trainable = KERNELS[kernel]
        family = FAMILIES[phi] if name == "solved" else "auto"
        found = match(deq, which, family, trainable=trainable, on_failure="return")
        spec: Any = found.spec
        return Design(spec, found.network_trainable, deq, found.residual)
    if name == "unmatched":
        spec = centred_mlp([phi] * DEPTHS[phi], deq.tau0)
    else:
        spec = figure_design(deq) if name == "published" else training_design(deq, name == "training, centred")
    other = training_deq(deq) if name == "training, its DEQ" else deq
    return Design(spec, "all", other, _miss(spec, deq, kernel))


def _miss(spec: MLP, deq: DEQ, kernel: str) -> float | None:
    which, trainable = KERNELS[kernel]
    try:
        found = coefficients(spec, which, tau0=deq.tau0)
    except NotCoveredError:  # a layer is not centred
        return None
    wanted = coefficients(deq, which, trainable=trainable)
    pairs = list(zip(wanted.numbers, found.numbers, strict=True))
    least = _NEGLIGIBLE * max(abs(value) for value, _ in pairs)
    return max(abs(other / value - 1.0) for value, other in pairs if abs(value) > least)


def described(spec: MLP) -> str:
    """Return activations and parameters, from the first layer on, to five digits."""
    return "; ".join(_described(layer.activation) for layer in spec.layers)


def _described(phi: Activation) -> str:
    given = [f"{name}={value:.5g}" for name, value in phi.params if name != "tau"]
    offset = [f"offset={phi.offset:.5g}"] if phi.offset else []
    return " ".join([str(phi.name), *given, *offset])


def _finite(at: Any, data_dir: Path | None) -> list[Row]:
    case = _case_of(at, data_dir)
    twin = designed("published", case.deq).spec
    specs: tuple[Spec, ...] = (case.deq, case.deq, twin)
    options: Any = {"draws": at["networks"], "dtype": torch.float32, "exact": case.kernels[CK]}
    means = [
        sampled_kernel(spec, case.X, at["width"], seed=3 * at["seed"] + number, **options).mean
        for number, spec in enumerate(specs)
    ]
    found = {"published": means[2], "DEQ": means[1], "exact": case.kernels[CK]}
    rows: list[Row] = []
    for name, other in found.items():
        apart = relative_distance(means[0], other)
        distances = {
            "spectral": significant(apart.spectral, _DIGITS),
            "frobenius": significant(apart.frobenius, _DIGITS),
        }
        rows.append({"design": name, "kernel": CK} | distances)
    return rows


def _shape(at: Any, data_dir: Path | None) -> list[Row]:
    deq = DEQ(at["activation"], at["sigma_a2"], 1.0 - at["sigma_a2"])
    if at["design"] == "DEQ":
        rest = rest_point(deq)
        layers = [(rest.activation, rest.tau_star)]
    else:
        layers = _layers(designed(at["design"], deq).spec, deq.tau0)
    x = np.linspace(-_DEVIATIONS, _DEVIATIONS, at["points"])
    return [
        {"layer": number, "u": significant(u, _DIGITS), "phi": significant(value, _DIGITS)}
        for number, (phi, scale) in enumerate(layers, start=1)
        for u, value in zip(scale * x, phi(scale * x), strict=True)
    ]


def _layers(spec: MLP, tau0: float) -> list[tuple[Activation, float]]:
    """Return the activation of each layer and the scale of its pre-activations."""
    scales = [scale for _, _, scale in layer_moments(spec, tau0)]
    return [(layer.activation, scale) for layer, scale in zip(spec.layers, scales, strict=True)]


STUDY = Study(
    name="matching",
    title="Kernels of DEQs and of networks designed for them",
    question=(
        "How far are the kernels of a ReLU DEQ from those of two leaky ReLU layers, and those of a tanh DEQ from those "
        "of one hard tanh layer, with the published settings and with the equations solved?"
    ),
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
