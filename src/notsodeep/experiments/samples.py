"""Training and test samples of an experiment, with the statistics of the training samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from notsodeep.checks import integer
from notsodeep.data import Dataset, GaussianMixture, Statistics, entries, load_dataset
from notsodeep.data.statistics import LEAST
from notsodeep.errors import DataError
from notsodeep.files import StrPath

MIXTURE = "gmm"
ASPECT = 0.8
"""Samples per dimension of the mixture, as in arXiv:2402.02697"""
MOST = 1200
"""Training samples taken when no number is given, if there are as many"""
MOST_TEST = 1000
"""Test samples taken when no number is given, if there are as many"""


class LabelledSamples(NamedTuple):
    """Scaled data: the mean squared norm of the training samples is 1 (of the mixture: in expectation)."""

    train: Dataset
    test: Dataset
    statistics: Statistics


def load_samples(
    name: StrPath,
    classes: tuple[object, ...] | None = None,
    n: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
    scale: str = "mean",
    data_dir: StrPath | None = None,
) -> LabelledSamples:
    """Return samples of a data set, or of the paper's Gaussian mixture for the name ``"gmm"``.

    Parameters are those of :func:`notsodeep.load_dataset`; without ``n`` at most :data:`MOST` training
    samples are taken, without ``n_test`` at most :data:`MOST_TEST` test samples.

    Raises
    ------
    ValueError
        As :func:`notsodeep.load_dataset`; also when no test samples are left, or the mixture is asked
        for classes or a scaling that it does not have.
    """
    n_test = MOST_TEST if n_test is None else integer("n_test", n_test, low=1)
    if name == MIXTURE:
        if classes is not None or scale != "mean":
            raise ValueError("the data set 'gmm' has two classes and its own scale; leave classes and scale out")
        return _mixture(800 if n is None else n, n_test, seed)
    if n is None:
        n = _usual_size(name, classes, seed, data_dir, scale)
    train = load_dataset(name, classes, n, seed, data_dir, scale, n_test)
    if train.test is None:
        raise DataError(f"{train.name}: no test samples are left; lower n (now {train.n})")
    labels, counts = np.unique(train.y, return_counts=True)
    if counts.min() < LEAST:
        raise DataError(
            f"{train.name}: the training part has {counts.min()} samples of class {labels[counts.argmin()]}, at least "
            f"{LEAST} are needed; raise n, or leave the class out with classes"
        )
    return LabelledSamples(train, train.test, Statistics.from_data(train.X, train.y))


def _usual_size(
    name: StrPath, classes: tuple[object, ...] | None, seed: int, data_dir: StrPath | None, scale: str
) -> int | None:
    """:data:`MOST`, or None (four fifths, or all of a training part) where there are fewer."""
    if classes is None and any(name == entry.name and entry.n > 2 * MOST for entry in entries()):
        return MOST
    return MOST if load_dataset(name, classes, None, seed, data_dir, scale).n > MOST else None


def _mixture(n: int, n_test: int, seed: int) -> LabelledSamples:
    mixture = unit_mixture(round(integer("n", n, low=8) / ASPECT))
    train = mixture.sample(n, seed=np.random.default_rng([seed, 0]))
    test = mixture.sample(n_test, seed=np.random.default_rng([seed, 1]))
    return LabelledSamples(train, test, Statistics.from_mixture(mixture, train.X, train.y))


def unit_mixture(p: int) -> GaussianMixture:
    """Return the paper's mixture, scaled so that the expected squared norm of a sample is 1."""
    raw = GaussianMixture.paper(p)
    norms = [(raw.trace(a) + float(raw.means[a] @ raw.means[a])) / p for a in range(raw.n_classes)]
    square = float(raw.weights @ np.array(norms))
    return GaussianMixture(raw.means / square**0.5, raw.covariances / square, raw.weights)
