"""Records of spectra made by hand, their laws in closed form: no mathematics of the package is behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

import notsodeep as nsd
from notsodeep.data import Dataset
from notsodeep.experiments.spectrum import IsolatedPair, SpectrumConfig, SpectrumResult, SpectrumSamples


@dataclass(frozen=True)
class Law:
    """Semicircles or arcsine laws ``(mass, centre, radius)``, and atoms ``(position, mass)``."""

    parts: tuple[tuple[float, float, float], ...] = ()
    atoms: tuple[tuple[float, float], ...] = ()
    hard: bool = False

    @property
    def intervals(self):
        return tuple((centre - radius, centre + radius) for _, centre, radius in self.parts)

    def support(self):
        ends = [end for interval in self.intervals for end in interval] + [x for x, _ in self.atoms]
        return min(ends), max(ends)

    def pdf(self, x):
        return sum(
            (mass * self._density((x - centre) / radius) / radius for mass, centre, radius in self.parts), 0.0 * x
        )

    def cdf(self, x):
        x = np.asarray(x, dtype=float)
        continuous = sum((mass * self._below((x - c) / radius) for mass, c, radius in self.parts), 0.0 * x)
        return continuous + sum((mass * (x >= position) for position, mass in self.atoms), 0.0 * x)

    def _density(self, u):
        root = np.sqrt(np.maximum(1.0 - u * u, 0.0))
        with np.errstate(divide="ignore"):
            return np.where(np.abs(u) <= 1.0, 1.0 / root, 0.0) / np.pi if self.hard else 2.0 / np.pi * root

    def _below(self, u):
        u = np.clip(u, -1.0, 1.0)
        if self.hard:
            return 0.5 + np.arcsin(u) / np.pi
        return 0.5 + (u * np.sqrt(1.0 - u * u) + np.arcsin(u)) / np.pi

    def quantiles(self, n):
        """Return ``n`` eigenvalues as the law has them, ascending."""
        ends = np.array(self.support())
        grid = np.union1d(np.linspace(*ends, 200_001), [x for x, _ in self.atoms])
        at = np.searchsorted(self.cdf(grid), (np.arange(n) + 0.5) / n)
        return grid[np.minimum(at, len(grid) - 1)]


TWO = ((0.9, 0.1), (0.85, 0.12))


def pair(predicted, found, alignment=TWO):
    """An isolated eigenvalue, aligned where it is known."""
    return IsolatedPair(
        predicted, found, None if predicted is None else alignment[0], None if found is None else alignment[1]
    )


def record(law, isolated=(), n=400, spec=None, kernel="ck", classes=("a", "b"), name="blobs", **fields):
    """A record with ``n`` eigenvalues: those of ``isolated``, and the others as ``law`` has them."""
    spec = nsd.DEQ("relu") if spec is None else spec
    found = [one.found for one in isolated if one.found is not None]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 3)), np.array(classes)[np.arange(n) % len(classes)]
    result = SpectrumResult(
        config=SpectrumConfig(spec, kernel),
        samples=SpectrumSamples(Dataset(X, y, name=name, classes=tuple(classes)), None, None, "a mixture made by hand"),
        eigenvalues=np.sort(np.concatenate([law.quantiles(n - len(found)), found])),
        prediction=SimpleNamespace(bulk=law),
        margin=0.01,
        isolated=tuple(isolated),
        kolmogorov=0.0123,
        errors={"paper": 0.05, "norm-aware": 0.01, "exact squares": 0.002},
    )
    return replace(result, **fields)


def ten(value):
    return pair(value, value, ((0.1,) * 10, (0.05,) * 10))


def positive(result):
    """A record whose law reaches below zero, its eigenvalues not: the smallest is 0.001."""
    return replace(result, eigenvalues=np.sort(np.maximum(np.abs(result.eigenvalues), 0.001)))


SEMICIRCLE = Law(((1.0, 1.0, 0.5),))
WIDE = Law(((0.95, 0.05, 0.049), (0.05, 5.0, 4.0)))
BELOW_ZERO = Law(((0.9, 0.05, 0.06), (0.05, 5.0, 4.0)), ((0.02, 0.05),))
RECORDS = {
    "alone": record(SEMICIRCLE),
    "near": record(SEMICIRCLE, [pair(1.71, 1.7), pair(0.42, 0.43)]),
    "far": record(SEMICIRCLE, [pair(101.0, 100.0), pair(1.6, 1.62)]),
    "half": record(SEMICIRCLE, [pair(1500.0, 1490.0), pair(20.0, None), pair(None, 2.2), pair(None, 0.2)]),
    "absent": record(SEMICIRCLE, [pair(3.0, None)]),
    "atoms": record(Law(((0.3, 1.0, 0.5),), ((0.1, 0.6), (0.9, 0.1))), [pair(5.0, 5.1)]),
    "one atom": record(Law(((0.1, 1.0, 0.5),), ((0.4, 0.9),)), spec=nsd.DEQ("tanh")),
    "only atoms": record(Law((), ((0.4, 0.9), (0.6, 0.1))), [pair(2.0, 2.0)]),
    "two intervals": record(Law(((0.7, 1.0, 0.1), (0.3, 2.0, 0.7))), [pair(1.15, 1.16), pair(3.0, 3.05)], kernel="ntk"),
    "uneven": record(Law(((0.9, 1.0, 0.01), (0.1, 2.0, 0.7))), [pair(4.0, 4.0)]),
    "narrow": record(Law(((1.0, 0.25, 1e-5),)), [pair(0.26, 0.2601), pair(3.0, 3.0)], margin=1e-7),
    "hard": record(Law(((1.0, 1.0, 1.0),), hard=True), [pair(4.0, 4.0)]),
    "negative": record(Law(((1.0, 0.1, 0.2),)), [pair(9.0, 9.1), pair(-0.5, -0.52)]),
    "wide": record(WIDE, [pair(12.0, 12.5), pair(40.0, 41.0)]),
    "below zero": positive(record(BELOW_ZERO, [pair(40.0, 41.0)])),
    "many": record(SEMICIRCLE, [ten(v) for v in np.geomspace(300, 1.6, 25)], classes=[*"abcdefghi", "a long name"]),
}
