"""Eigenvalues of the exact kernels of a DEQ and of what stands in for them: equivalents, twins, finite networks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data import Statistics
from notsodeep.equivalents import equivalent
from notsodeep.experiments.reproduction.draws import SPHERE, draw
from notsodeep.experiments.reproduction.kernels import CK, KERNELS, NTK, PAPERS_NTK
from notsodeep.experiments.reproduction.rows import significant
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit
from notsodeep.experiments.samples import MIXTURE
from notsodeep.kernels.distance import relative_distance
from notsodeep.matching import Match, match
from notsodeep.matching.fidelity import kernel_pairs
from notsodeep.networks import empirical_ck, empirical_ntk
from notsodeep.spec import DEQ, Spec, layers_of

STAND_INS = ("paper", "norm_aware", "matched", "one_deq", "mean_deq", "one_matched")
"""Columns beside ``exact``, the kernel of the infinitely wide DEQ: the equivalent in the paper's and in the norm-aware
form, the exact kernel of the matched network, the kernel of one DEQ of finite width and the mean of several ones, and
that of one matched network of finite width"""
DISTANCES = ("spectral", "frobenius", "kolmogorov", "shift", "largest")
"""What rows of distances hold: see :func:`distances`"""
LARGEST = 8
"""Eigenvalues that have rows of their own"""
MOST_BINS = 40
_BELOW, _ABOVE = 0.5, 1.3  # ends of the bins, of the smallest eigenvalue and of the first one after the largest ones
_DIGITS = 6  # significant ones of a cell


@dataclass(frozen=True)
class SpectrumConfig(Config):
    """Configuration of the study of eigenvalues."""

    sizes: tuple[tuple[str, int], ...]
    """Data set and number of samples of each case; cases of other data sets than ``datasets`` are left out"""
    activations: tuple[str, ...]
    kernels: tuple[str, ...]
    """Keys of :data:`~notsodeep.experiments.reproduction.kernels.KERNELS`"""
    sigma_a2: float
    """Variance of the recurrent weights; that of the input weights is ``1 - sigma_a2``"""
    width: int
    """Hidden units of a finite network"""
    networks: int
    """Finite DEQs in a mean"""


FULL = SpectrumConfig(
    seeds=5,
    datasets=(MIXTURE, "mnist", SPHERE),
    sizes=((MIXTURE, 800), (MIXTURE, 1600), ("mnist", 400), ("mnist", 2000), (SPHERE, 1000)),
    activations=("relu", "tanh"),
    kernels=(CK, NTK, PAPERS_NTK),
    sigma_a2=0.2,
    width=1000,
    networks=4,
)
QUICK = SpectrumConfig(
    seeds=1,
    datasets=(MIXTURE, "digits"),
    sizes=((MIXTURE, 120), ("digits", 100)),
    activations=("relu", "tanh"),
    kernels=(CK, NTK),
    sigma_a2=0.2,
    width=200,
    networks=2,
)


def units(config: SpectrumConfig) -> list[Unit]:
    """Return one unit for each case, activation, kernel and draw."""
    cases = [(name, n) for name, n in config.sizes if name in config.datasets]
    return [
        Unit(
            {
                "dataset": name,
                "n": n,
                "activation": activation,
                "kernel": kernel,
                "sigma_a2": config.sigma_a2,
                "width": config.width,
                "networks": config.networks,
                "seed": seed,
            },
            work=_work(n, config.width, config.networks, kernel),
        )
        for (name, n), activation, kernel, seed in product(
            cases, config.activations, config.kernels, range(config.seeds)
        )
    ]


def _work(n: int, width: int, networks: int, kernel: str) -> float:
    """Seconds of one core: eigenvalues and norms take n^3 operations, a network width^2 n, gradients as many."""
    thousands = n / 1000.0
    drawn = (0.7 if kernel == CK else 1.25) * (networks + 0.5) * (width / 1000.0) ** 2 * thousands
    return 0.5 + 0.9 * thousands**3 + drawn


def run(unit: Unit, data_dir: Path | None) -> list[Row]:
    """Return the distances of all stand-ins from the exact kernel; of draw 0 also the largest eigenvalues, and bins.

    A row holds one quantity, named by ``what``, of all matrices that have it, a column each (:data:`STAND_INS`):

    * those of :data:`DISTANCES`;
    * ``residual``: largest relative miss of the matched numbers, with ``family``, ``depth``, ``status`` of the match;
    * ``eigenvalue``: the largest eigenvalues, by their ``rank``;
    * ``count``: eigenvalues from ``low`` to ``high``; below the first bin and from the last one on, one end is missing.
    """
    at: dict[str, Any] = dict(unit.at)
    X, stats = draw(at["dataset"], at["n"], at["seed"], data_dir)
    found, matrices = _matrices(at, X, stats)
    spectra = {name: np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64) for name, matrix in matrices.items()}
    rows: list[Row] = [
        *distances(matrices, spectra),
        {
            "what": "residual",
            "matched": found.residual,
            "family": found.family,
            "depth": len(layers_of(found.spec)),
            "status": found.status,
        },
    ]
    if at["seed"] == 0:
        rows += [*_largest(spectra), *_counts(spectra)]
    same = at | {"p": X.shape[1]}
    return [same | {name: significant(value, _DIGITS) for name, value in row.items()} for row in rows]


def _matrices(at: Mapping[str, Any], X: FloatArray, stats: Statistics) -> tuple[Match, dict[str, FloatArray]]:
    """Return the match, and the exact kernel with its stand-ins."""
    kernel, trainable = KERNELS[at["kernel"]]
    width, networks, seed = at["width"], at["networks"], at["seed"]
    deq = DEQ(at["activation"], at["sigma_a2"], 1.0 - at["sigma_a2"])
    found = match(deq, kernel, trainable=trainable, stats=stats, on_failure="return")
    exact, matched = kernel_pairs(found, X)[kernel]
    finite = [_network_kernel(deq, X, kernel, trainable, width, (seed, k)) for k in range(networks)]
    return found, {
        "exact": exact,
        "paper": equivalent(deq, X, stats, kernel, "paper", trainable).dense(),
        "norm_aware": equivalent(deq, X, stats, kernel, "norm-aware", trainable).dense(),
        "matched": matched,
        "one_deq": finite[0],
        "mean_deq": np.mean(finite, axis=0),
        "one_matched": _network_kernel(found.spec, X, kernel, found.network_trainable, width, (seed, networks)),
    }


def _network_kernel(
    spec: Spec, X: FloatArray, kernel: str, trainable: str | Iterable[str], width: int, seed: Sequence[int]
) -> FloatArray:
    """Return the kernel of one network, which computes in single precision."""
    net = spec.to_torch(X.shape[1], width, seed=int(np.random.SeedSequence(seed).generate_state(1)[0])).float()
    drawn = empirical_ck(net, X) if kernel == "ck" else empirical_ntk(net, X, trainable=trainable)
    return np.asarray(drawn, dtype=np.float64)


def distances(matrices: Mapping[str, FloatArray], spectra: Mapping[str, FloatArray]) -> list[Row]:
    """Return how far each matrix, and its ascending eigenvalues, are from those of ``exact``: a row a distance.

    With ``A`` the exact kernel, eigenvalues ``a_1 >= a_2 >= ...``, and ``B`` another matrix, eigenvalues ``b_i``:

    * ``spectral``, ``frobenius``: ``|A - B| / |A|`` in both norms;
    * ``kolmogorov``: largest difference between the shares of eigenvalues up to a point;
    * ``shift``: ``max_i |a_i - b_i| / a_1``, at most the spectral distance (Weyl);
    * ``largest``: ``max |b_i / a_i - 1|`` over the :data:`LARGEST` largest ones.
    """
    exact, own = matrices["exact"], spectra["exact"]
    others = [name for name in matrices if name != "exact"]
    gaps = {name: relative_distance(exact, matrices[name]) for name in others}
    top = own[-LARGEST:]
    found = {
        "spectral": {name: gaps[name].spectral for name in others},
        "frobenius": {name: gaps[name].frobenius for name in others},
        "kolmogorov": {name: kolmogorov(own, spectra[name]) for name in others},
        "shift": {name: float(np.abs(spectra[name] - own).max() / own[-1]) for name in others},
        "largest": {name: float(np.abs(spectra[name][-LARGEST:] / top - 1.0).max()) for name in others},
    }
    return [{"what": what, **found[what]} for what in DISTANCES]


def kolmogorov(a: FloatArray, b: FloatArray) -> float:
    """Return the largest difference between the distribution functions of two sets of values.

    Examples
    --------
    >>> kolmogorov(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.5, 2.7, 2.9]))
    0.5
    """
    points = np.concatenate([a, b])
    shares = (np.searchsorted(np.sort(values), points, side="right") / len(values) for values in (a, b))
    return float(np.abs(next(shares) - next(shares)).max())


def _largest(spectra: Mapping[str, FloatArray]) -> list[Row]:
    return [
        {"what": "eigenvalue", "rank": rank, **{name: float(values[-rank]) for name, values in spectra.items()}}
        for rank in range(1, LARGEST + 1)
    ]


def _counts(spectra: Mapping[str, FloatArray]) -> list[Row]:
    """Return how many eigenvalues each bin has; bins are equally wide in their logarithm."""
    exact = spectra["exact"]
    bins = min(MOST_BINS, math.ceil(1.2 * math.sqrt(len(exact))))
    edges = np.geomspace(_BELOW * exact[0], _ABOVE * exact[-LARGEST - 1], bins + 1)
    ends = np.concatenate([[-np.inf], edges, [np.inf]])
    counts = {name: np.histogram(values, ends)[0] for name, values in spectra.items()}
    lows, highs = [None, *edges.tolist()], [*edges.tolist(), None]
    return [
        {"what": "count", "low": low, "high": high, **{name: int(count[i]) for name, count in counts.items()}}
        for i, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]


STUDY = Study(
    name="spectrum",
    title="Eigenvalues of the kernels",
    question="Do the random-matrix equivalents, the matched network and networks of finite width have the eigenvalues "
    "of the implicit kernels of a DEQ, on the mixture, on images and on the sphere?",
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
