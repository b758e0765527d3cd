"""Predicted against exact spectra of kernel matrices of mixtures: bulk, isolated eigenvalues.

``python benchmarks/spectra.py --p 4000`` compares, for an isotropic, a two-scale and a Toeplitz mixture of two classes
and p / n = 0.5, 1.25 and 4, the Kolmogorov distance of the bulk and the isolated eigenvalues with the exact ones.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.linalg import eigvalsh, toeplitz

import notsodeep as nsd
from notsodeep.spectra import in_eigenbasis

KINDS = ("isotropic", "two-scale", "toeplitz")


def mixture(kind, p, size=4.0, trace=4.0):
    """Return two classes with orthogonal means of length ``size`` and traces that differ by ``trace / sqrt(p)``."""
    means = np.zeros((2, p))
    means[0, 0] = means[1, 1] = size
    factors = np.array([1.0, 1.0 + trace / np.sqrt(p)])
    if kind == "isotropic":
        return nsd.GaussianMixture(means, factors)
    if kind == "two-scale":
        return nsd.GaussianMixture(means, factors[:, None] * np.where(np.arange(p) % 2, 0.4, 1.6))
    return nsd.GaussianMixture(means, factors[:, None, None] * toeplitz(0.4 ** np.arange(p)))


def kolmogorov(bulk, values):
    """Return the largest distance of the distribution functions."""
    below, steps = bulk.cdf(values), np.arange(len(values) + 1) / len(values)
    return float(max(np.abs(below - steps[:-1]).max(), np.abs(below - steps[1:]).max()))


def outside(bulk, values, margin):
    """Tell which values are further than ``margin`` from all intervals and atoms of the bulk."""
    parts = [*bulk.intervals, *((position, position) for position, _ in bulk.atoms)]
    return np.all([(values < low - margin) | (values > high + margin) for low, high in parts], axis=0)


def compare(gm, counts, values, deq, kernel, order):
    """Return the Kolmogorov distance, and isolated eigenvalues predicted and found."""
    start = time.perf_counter()
    found = nsd.spectrum(deq, gm, counts, kernel, order)
    seconds = time.perf_counter() - start
    low, high = found.bulk.support()
    margin = 2.0 * (high - low) * len(values) ** (-2 / 3)
    free = outside(found.bulk, values, margin)
    predicted = np.array([one.value for one in found.isolated])
    predicted = predicted[outside(found.bulk, predicted, margin)]
    return kolmogorov(found.bulk, values[~free]), predicted, values[free], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--p", type=int, default=4000)
    parser.add_argument("--ratios", type=float, nargs="+", default=[4.0, 1.25, 0.5], help="p / n")
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--activations", nargs="+", default=["relu", "tanh"])
    parser.add_argument("--kernels", nargs="+", default=["ck", "ntk"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        "| mixture | p / n | activation | kernel | form | Kolmogorov | predicted | found | largest error, % | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind in given.kinds:
        gm = mixture(kind, given.p)
        diagonal = in_eigenbasis(gm)
        for ratio in given.ratios:
            X, y = gm.sample(round(given.p / ratio), seed=given.seed)
            counts = np.bincount(y, minlength=2)
            for activation in given.activations:
                deq = nsd.DEQ(activation, 0.2, 0.8, tau0=float(np.sqrt((X**2).sum(axis=1).mean())))
                for kernel in given.kernels:
                    values = eigvalsh(getattr(nsd, kernel)(deq, X), overwrite_a=True)
                    for order in ("norm-aware", "paper"):
                        distance, predicted, found, seconds = compare(diagonal, counts, values, deq, kernel, order)
                        same = len(predicted) == len(found)
                        error = f"{100 * np.abs(predicted / found - 1).max(initial=0):.2f}" if same else "not the same"
                        shown = (
                            ", ".join(f"{v:.4g}" for v in part) if len(part) < 6 else f"{len(part)} values"
                            for part in (predicted, found)
                        )
                        row = kind, f"{ratio:g}", activation, kernel, order, f"{distance:.4f}", *shown, error
                        print(f"| {' | '.join(row)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
