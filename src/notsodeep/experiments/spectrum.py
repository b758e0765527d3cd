"""Exact eigenvalues of a kernel on a mixture or on data, against the spectrum that the theory predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh

from notsodeep.checks import FloatArray, choice, integer, number
from notsodeep.data import Dataset, GaussianMixture, Statistics, load_dataset
from notsodeep.equivalents import EquivalentOperator
from notsodeep.equivalents.coefficients import KERNELS
from notsodeep.equivalents.forms import all_forms, form_errors
from notsodeep.errors import DataError
from notsodeep.experiments.samples import ASPECT, MIXTURE, unit_mixture
from notsodeep.files import StrPath
from notsodeep.kernels import ck, ntk
from notsodeep.spec import DEQ, Spec, trainable_weights
from notsodeep.spectra import Bulk, Spectrum, in_eigenbasis, spectrum

SIZE = 800
"""Samples taken when no number is given, if there are as many"""
FITTED = 20_000
"""Samples at most that a mixture is fitted to"""
STAGES = ("exact kernel", "eigenvalues", "prediction", "equivalents")


@dataclass(frozen=True)
class SpectrumConfig:
    """Which kernel of which model."""

    spec: Spec
    kernel: str = "ck"
    trainable: Any = "all"
    tau0: float = 1.0
    """Scale at which explicit layers are centred, for the paper's form (a DEQ has its own)"""

    def __post_init__(self) -> None:
        choice("kernel", self.kernel, KERNELS)
        trainable_weights(self.spec, self.trainable)
        number("tau0", self.tau0, low=0.0, strict=True)


@dataclass(frozen=True)
class SpectrumSamples:
    """Samples whose kernel is looked at, and the mixture that the prediction takes them from."""

    data: Dataset
    mixture: GaussianMixture
    statistics: Statistics
    origin: str
    """Where the mixture comes from, in words"""


@dataclass(frozen=True)
class IsolatedPair:
    """An isolated eigenvalue: predicted, found, or both."""

    predicted: float | None
    found: float | None
    predicted_alignment: tuple[float, ...] | None
    """Squared cosines of its eigenvector with the indicators of the classes, as predicted"""
    found_alignment: tuple[float, ...] | None

    @property
    def error(self) -> float | None:
        """Relative error of the prediction."""
        if self.predicted is None or self.found is None:
            return None
        return abs(self.predicted / self.found - 1.0)


@dataclass(frozen=True, eq=False)
class SpectrumResult:
    """Everything that the table and the picture of a spectrum are made of."""

    config: SpectrumConfig
    samples: SpectrumSamples
    eigenvalues: FloatArray
    """Exact ones, ascending, ``(n,)``"""
    prediction: Spectrum
    """``prediction.bulk`` has ``pdf``, ``cdf``, ``intervals`` and ``atoms``"""
    margin: float
    """Distance from the predicted support from which on an exact eigenvalue counts as isolated"""
    isolated: tuple[IsolatedPair, ...]
    """In order of size, the largest first"""
    kolmogorov: float
    """Largest distance between the distribution functions of the bulk, exact and predicted"""
    errors: dict[str, float]
    """Relative spectral error of each form of the equivalent (``"paper"`` is absent where it does not exist)"""


def load_spectrum_samples(
    name: StrPath = MIXTURE,
    classes: Iterable[Any] | None = None,
    n: int | None = None,
    seed: int = 0,
    scale: str = "mean",
    data_dir: StrPath | None = None,
) -> SpectrumSamples:
    """Return n samples of the paper's mixture (``"gmm"``) or of a data set, and the mixture that stands for them.

    Of a data set, the mixture is fitted to as many samples as there are, up to :data:`FITTED`.

    Raises
    ------
    ValueError
        As :func:`notsodeep.load_dataset`; also when the mixture is asked for classes or another scaling, or a data set
        for more samples than it has.
    """
    if name == MIXTURE:
        if classes is not None or scale != "mean":
            raise ValueError("the data set 'gmm' has two classes and its own scale; leave classes and scale out")
        n = SIZE if n is None else integer("n", n, low=8)
        gm = unit_mixture(round(n / ASPECT))
        data = gm.sample(n, seed=seed)
        return SpectrumSamples(data, gm, Statistics.from_mixture(gm, data.X, data.y), "the mixture itself")
    everything = load_dataset(name, classes, None, seed, data_dir, scale, 0)
    n = min(SIZE, everything.n) if n is None else integer("n", n, low=8)
    if n > everything.n:
        raise DataError(f"n must be at most {everything.n}, the samples of {everything.name}, got {n}")
    order = np.random.default_rng(seed).permutation(everything.n)
    chosen, fitted = order[:n], order[: max(n, FITTED)]
    data = Dataset(everything.X[chosen], everything.y[chosen], everything.name, everything.classes)
    gm = in_eigenbasis(GaussianMixture.from_data(everything.X[fitted], everything.y[fitted]), approximate=True)
    origin = f"fitted to {len(fitted)} samples: Ledoit-Wolf covariances, diagonal in a common eigenbasis"
    return SpectrumSamples(data, gm, Statistics.from_data(data.X, data.y), origin)


def run_spectrum(
    config: SpectrumConfig, samples: SpectrumSamples, progress: Callable[[str], None] = lambda stage: None
) -> SpectrumResult:
    """Compute the exact spectrum and the predicted one, and compare them; ``progress`` is told each stage.

    Exact eigenvalues further than ``margin = 2 n^(-2/3)`` of its width from the predicted bulk count as isolated, the
    scale on which the edge of a bulk fluctuates; one that has no partner must be twice as far.
    """
    X, y = samples.data
    progress(STAGES[0])
    exact = ck(config.spec, X) if config.kernel == "ck" else ntk(config.spec, X, trainable=config.trainable)
    progress(STAGES[1])
    values, vectors = eigh(exact)
    progress(STAGES[2])
    indicators = (np.asarray(y)[:, None] == np.array(samples.data.classes)).astype(float)
    counts = indicators.sum(axis=0).astype(np.int64)
    prediction = spectrum(config.spec, samples.mixture, counts, config.kernel, trainable=config.trainable)
    low, high = prediction.bulk.support()
    margin = 2.0 * (high - low) * len(X) ** (-2 / 3)
    free = _distance(prediction.bulk, values) > margin
    shares = (indicators.T @ vectors[:, free]) ** 2 / np.maximum(counts, 1)[:, None]
    found = _marks(prediction.bulk, values[free], shares.T)
    isolated = prediction.isolated
    predicted = _marks(prediction.bulk, [one.value for one in isolated], [one.alignments for one in isolated])
    progress(STAGES[3])
    return SpectrumResult(
        config=config,
        samples=samples,
        eigenvalues=values,
        prediction=prediction,
        margin=margin,
        isolated=_paired(prediction.bulk, predicted, found, margin),
        kolmogorov=_kolmogorov(prediction.bulk, values[~free]),
        errors=form_errors(exact, _forms(config, X, samples.statistics)),
    )


def _forms(config: SpectrumConfig, X: FloatArray, stats: Statistics) -> dict[str, EquivalentOperator]:
    tau0 = None if isinstance(config.spec, DEQ) else config.tau0
    return all_forms(config.spec, X, stats, config.kernel, config.trainable, tau0)


def _distance(bulk: Bulk, values: FloatArray) -> FloatArray:
    """Return how far each value is from the bulk."""
    parts = [*bulk.intervals, *((position, position) for position, _ in bulk.atoms)]
    return np.min([np.maximum(np.maximum(low - values, values - high), 0.0) for low, high in parts], axis=0)


def _kolmogorov(bulk: Bulk, values: FloatArray) -> float:
    below, steps = bulk.cdf(values), np.arange(len(values) + 1) / len(values)
    above, under = np.abs(below - steps[:-1]), np.abs(below - steps[1:])
    if bulk.atoms:  # at a jump, the side counts
        positions = np.array([position for position, _ in bulk.atoms])
        masses = np.array([mass for _, mass in bulk.atoms])
        at = (np.abs(values[:, None] - positions) < 1e-12 * max(np.abs(values).max(), 1.0)) @ masses
        above, under = np.abs(below - at - steps[:-1]), np.abs(below - steps[1:])
    return float(max(above.max(), under.max()))


class _Mark(NamedTuple):
    """An eigenvalue, the alignment of its eigenvector, and its distance from the bulk."""

    value: float
    alignment: tuple[float, ...]
    distance: float


def _paired(bulk: Bulk, predicted: list[_Mark], found: list[_Mark], margin: float) -> tuple[IsolatedPair, ...]:
    """Pair the eigenvalues of each gap, the furthest from the bulk first; leave out what is too close to tell."""
    pairs = []
    for gap in {_gap(bulk, mark.value) for mark in [*predicted, *found]}:
        sides = (
            sorted(
                (one for one in marks if _gap(bulk, one.value) == gap and one.distance > margin),
                key=lambda one: -one.distance,
            )
            for marks in (predicted, found)
        )
        for one, other in zip_longest(*sides):
            lonely = one or other if one is None or other is None else None
            if lonely is None or lonely.distance > 2.0 * margin:
                pairs.append(
                    IsolatedPair(
                        predicted=one and one.value,
                        found=other and other.value,
                        predicted_alignment=one and one.alignment,
                        found_alignment=other and other.alignment,
                    )
                )
    return tuple(sorted(pairs, key=lambda pair: max(pair.predicted or -np.inf, pair.found or -np.inf), reverse=True))


def _marks(bulk: Bulk, values: Iterable[float], alignments: Iterable[Any]) -> list[_Mark]:
    marks = [(float(value), tuple(map(float, alignment))) for value, alignment in zip(values, alignments, strict=True)]
    return [_Mark(*mark, float(_distance(bulk, np.array([mark[0]]))[0])) for mark in marks]


def _gap(bulk: Bulk, value: float) -> tuple[float, float]:
    """Return the ends of the gap that a value lies in."""
    ends = [end for interval in bulk.intervals for end in interval] + [position for position, _ in bulk.atoms]
    below, above = [end for end in ends if end <= value], [end for end in ends if end >= value]
    return max(below, default=-np.inf), min(above, default=np.inf)
