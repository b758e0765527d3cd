"""Equivalents and matched networks where classes, samples per dimension and norms are not those of the paper."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data import GaussianMixture, Statistics
from notsodeep.experiments.reproduction.equivalent_errors import MEANS_IN_T, equivalent_errors, traces_with_means
from notsodeep.experiments.reproduction.kernels import CK, PAPERS_NTK, matched
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit, Value
from notsodeep.experiments.samples import ASPECT, MIXTURE
from notsodeep.kernels.distance import relative_distance
from notsodeep.matching.fidelity import kernel_pairs
from notsodeep.spec import DEQ

CLASSES, RATIO, NORMS = "classes", "n/p", "norms"
"""What is varied; the other two are those of the paper"""
GROWING, BOUNDED = "growing", "bounded"
"""Variances of K classes: ``1 + 8 a / sqrt(p)``, ``a = 0 .. K-1``, or as many between the two of the paper"""
ONE_NORM, GAUSSIAN, FACTORS, EIGENVALUES = "one norm", "Gaussian", "scale factors", "large eigenvalues"
"""How norms fluctuate: not at all; as those of the paper's mixture; by a log-normal factor of each sample beside that,
whose square has the coefficient of variation ``level``; by ten eigenvalues that hold the share ``level`` of a trace"""
NETWORK = "network"
"""The matched network's exact kernel, among the forms of the equivalent"""
STUDIED = (CK, PAPERS_NTK)
_LARGE = 10  # eigenvalues
_SECONDS = 1.0
_SECONDS_PER_PAIR = 8.0 / 3200**2


@dataclass(frozen=True)
class DimensionAndClassesConfig(Config):
    """The values of each of three axes; each draw of each value is a unit for each activation."""

    p: int
    classes: tuple[tuple[int, str], ...]
    """Number of classes, and how their variances are placed"""
    ratios: tuple[float, ...]
    """Samples per dimension"""
    norms: tuple[tuple[str, float], ...]
    """How norms fluctuate, and ``level``"""
    activations: tuple[str, ...] = ("relu", "tanh")
    aspect: float = ASPECT
    sigma_a2: float = 0.2
    sigma_b2: float = 0.8


FULL = DimensionAndClassesConfig(
    seeds=5,
    datasets=(MIXTURE,),
    p=800,
    classes=(*((K, GROWING) for K in (2, 3, 5, 10, 20)), *((K, BOUNDED) for K in (3, 5, 10, 20))),
    ratios=(0.25, 0.5, 1.0, 2.0, 4.0),
    norms=(
        (ONE_NORM, 0.0),
        (GAUSSIAN, 0.0),
        *((FACTORS, level) for level in (0.1, 0.2, 0.4, 0.8)),
        *((EIGENVALUES, level) for level in (0.1, 0.2, 0.4, 0.8)),
    ),
)
QUICK = DimensionAndClassesConfig(
    seeds=1,
    datasets=(MIXTURE,),
    p=80,
    classes=((2, GROWING), (4, GROWING)),
    ratios=(2.0,),
    norms=((ONE_NORM, 0.0), (FACTORS, 0.4)),
)


def units(config: DimensionAndClassesConfig) -> list[Unit]:
    """Return a unit for each activation, case and draw."""
    return [
        Unit(
            {
                "axis": axis,
                **case,
                "activation": name,
                "seed": seed,
                "sigma_a2": config.sigma_a2,
                "sigma_b2": config.sigma_b2,
            },
            _SECONDS + _SECONDS_PER_PAIR * case["n"] ** 2,
        )
        for axis, case in _cases(config)
        for name in config.activations
        for seed in range(config.seeds)
    ]


def _cases(config: DimensionAndClassesConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    usual: dict[str, Value] = {
        "p": config.p,
        "n": round(config.aspect * config.p),
        "classes": 2,
        "variances": GROWING,
        "norms": GAUSSIAN,
        "level": 0.0,
    }
    yield from ((CLASSES, usual | {"classes": K, "variances": variances}) for K, variances in config.classes)
    yield from ((RATIO, usual | {"n": round(ratio * config.p)}) for ratio in config.ratios)
    yield from ((NORMS, usual | {"norms": norms, "level": level}) for norms, level in config.norms)


def run(unit: Unit, data_dir: Path | None = None) -> list[Row]:
    """Return the errors of equivalents and the distance of the matched network.

    All are relative to the exact kernel of the DEQ, in spectral norms. ``norm_cv`` is the coefficient of variation of
    the squared norms of the samples. The network is matched for the DEQ alone, not for the samples: the same one in all
    cases.
    """
    at: Mapping[str, Any] = unit.at
    X, stats = samples(**{name: at[name] for name in ("p", "n", "classes", "variances", "norms", "level", "seed")})
    deq = DEQ(at["activation"], at["sigma_a2"], at["sigma_b2"])
    found = equivalent_errors(deq, X, stats, STUDIED, traces={MEANS_IN_T: traces_with_means(stats)})
    for kernel in STUDIED:
        ((exact, network),) = kernel_pairs(matched(deq, kernel), X).values()
        found[kernel, NETWORK] = relative_distance(exact, network).spectral
    norms = stats.squared_norms
    common = dict(at) | {"norm_cv": float(norms.std() / norms.mean())}
    return [common | {"kernel": kernel, "form": form, "error": error} for (kernel, form), error in found.items()]


def samples(
    p: int, n: int, classes: int, variances: str, norms: str, level: float, seed: int
) -> tuple[FloatArray, Statistics]:
    """Return samples ``(n, p)`` of mean squared norm 1, and their statistics, population values of the mixture.

    Drawn from :func:`class_mixture`; a scale factor multiplies a sample as a whole, its mean too, and with one norm
    each sample is divided by its own. Neither changes the mixture that the statistics take the traces from.
    """
    gm = class_mixture(p, classes, variances, level if norms == EIGENVALUES else 0.0)
    X, y = gm.sample(n, seed=np.random.default_rng([seed, 0]))
    if norms == FACTORS:
        X = X * _factors(n, level, np.random.default_rng([seed, 1]))[:, None]
    size = math.sqrt(float(np.vdot(X, X)) / n)
    X = X / (np.linalg.norm(X, axis=1, keepdims=True) if norms == ONE_NORM else size)
    scaled = GaussianMixture(gm.means / size, gm.covariances / size**2)
    return X, Statistics.from_mixture(scaled, X, y)


def _factors(n: int, level: float, rng: np.random.Generator) -> FloatArray:
    """Return log-normal factors whose squares have mean 1 and standard deviation ``level``."""
    variance = math.log1p(level**2)
    return np.exp(0.5 * (math.sqrt(variance) * rng.standard_normal(n) - 0.5 * variance))


def class_mixture(p: int, classes: int, variances: str = GROWING, share: float = 0.0) -> GaussianMixture:
    """Return K classes placed as the two of the paper's mixture: ``mu_a = 8 e_(8 a)``, ``C_a = v_a D``.

    ``v_a = 1 + 8 a / sqrt(p)``, or with ``"bounded"`` variances ``1 + 8 a / ((K - 1) sqrt(p))``. ``D`` is the identity;
    with a ``share`` its last ten entries hold that share of its trace p.

    Examples
    --------
    >>> class_mixture(400, 3).covariances[:, 0].tolist(), class_mixture(400, 3, "bounded").covariances[:, 0].tolist()
    ([1.0, 1.4, 1.8], [1.0, 1.2, 1.4])
    """
    index = np.arange(classes)
    means = np.zeros((classes, p))
    means[index, 8 * index] = 8.0
    steps = index if variances == GROWING else index / (classes - 1)
    shape = np.ones(p)
    if share:
        shape[:-_LARGE], shape[-_LARGE:] = (1.0 - share) * p / (p - _LARGE), share * p / _LARGE
    return GaussianMixture(means, np.outer(1.0 + 8.0 * steps / math.sqrt(p), shape))


STUDY = Study(
    name="dimension-and-classes",
    title="Number of classes, samples per dimension and norms",
    question=(
        "How do the errors of the equivalents, and the distance between DEQ and matched network, depend on the number "
        "of classes, on n/p and on how much the norms of the samples fluctuate?"
    ),
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
