"""Relative spectral errors of the equivalents: on the paper's mixture against p, and on image data.

``python benchmarks/equivalents.py mixture`` draws the paper's mixture (n = 0.8 p, sigma_a2 = 0.2) at each p, compares
the exact kernels with each form, and fits ``error = a p^-b`` to the means. ``python benchmarks/equivalents.py data
--data-dir DIR`` does the same on MNIST and Fashion-MNIST, all classes, raw scaling, statistics estimated from the same
samples.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import notsodeep as nsd
from notsodeep.kernels.distance import spectral_norm

KERNELS = {"CK": ("ck", "all"), "NTK {A, w}": ("ntk", ("recurrent", "readout")), "NTK all": ("ntk", "all")}
FORMS = {
    "paper": {"order": "paper"},
    "norm-aware": {"order": "norm-aware"},
    "exact squares": {"order": "norm-aware", "quadratic": "exact"},
}
ACTIVATIONS = ("relu", "tanh", "silu", "elu", "leaky_relu")


def errors(activation, X, stats, sigma_a2):
    """Return the errors, ``(kernels, forms)``; the DEQ has the root mean squared norm of the samples as its tau0."""
    deq = nsd.DEQ(activation, sigma_a2, 0.8, tau0=float(np.sqrt((X**2).sum(axis=1).mean())))
    out = np.empty((len(KERNELS), len(FORMS)))
    for i, (kernel, trainable) in enumerate(KERNELS.values()):
        exact = nsd.ck(deq, X) if kernel == "ck" else nsd.ntk(deq, X, trainable=trainable)
        size = spectral_norm(exact)
        for j, form in enumerate(FORMS.values()):
            bar = nsd.equivalent(deq, X, stats, kernel, trainable=trainable, **form)
            out[i, j] = spectral_norm(exact - bar.dense()) / size
    return out


def on_mixture(activation, p, seed):
    gm = nsd.GaussianMixture.paper(p)
    X, y = gm.sample(round(0.8 * p), seed=seed)
    return errors(activation, X, nsd.Statistics.from_mixture(gm, X, y), 0.2)


def study(given):
    for activation in given.activations:
        start = time.perf_counter()
        found = 100 * np.array([[on_mixture(activation, p, seed) for seed in range(given.draws)] for p in given.p])
        means, spreads = found.mean(axis=1), found.std(axis=1, ddof=1)
        for i, kernel in enumerate(KERNELS):
            for j, form in enumerate(FORMS):
                cells = [f"{m:.3g} ± {s:.1g}" for m, s in zip(means[:, i, j], spreads[:, i, j], strict=True)]
                slope = -np.polyfit(np.log(given.p), np.log(means[:, i, j]), 1)[0]
                print(f"| {activation} | {kernel} | {form} | {' | '.join(cells)} | {slope:.2f} |", flush=True)
        print(f"<!-- {activation}: {time.perf_counter() - start:.0f} s -->")


def on_data(given):
    for name in ("mnist", "fashion_mnist"):
        X, y = nsd.load_dataset(name, n=given.n, data_dir=given.data_dir)
        stats = nsd.Statistics.from_data(X, y)
        for activation in given.activations:
            found = 100 * errors(activation, X, stats, 0.2)
            for kernel, row in zip(KERNELS, found, strict=True):
                print(f"| {name} | {activation} | {kernel} | {' | '.join(f'{e:.2f}' for e in row)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mixture", "data"))
    parser.add_argument("--p", type=int, nargs="+", default=[250, 500, 1000, 2000, 4000], help="dimensions")
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--n", type=int, default=2000, help="samples of the image data")
    parser.add_argument("--data-dir")
    given = parser.parse_args()
    if given.what == "data":
        print(f"| data | activation | kernel | {' | '.join(f'{form}, %' for form in FORMS)} |")
        on_data(given)
    else:
        print(f"| activation | kernel | form | {' | '.join(f'p = {p}, %' for p in given.p)} | exponent |")
        study(given)


if __name__ == "__main__":
    main()
