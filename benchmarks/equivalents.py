"""Relative spectral errors of the equivalents on the paper's mixture, n = 0.8 p, sigma_a2 = 0.2, means of three draws.

Run ``python benchmarks/equivalents.py --p 1000 4000``. NTK: recurrent weights and readout trained.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import notsodeep as nsd
from notsodeep.kernels.distance import relative_distance

PAPERS = ("recurrent", "readout")


def errors(activation, p, seed):
    """Return the errors of CK and NTK, the data being scaled by their own mean squared norm."""
    gm = nsd.GaussianMixture.paper(p)
    X, y = gm.sample(int(0.8 * p), seed=seed)
    stats = nsd.Statistics.from_mixture(gm, X, y)
    deq = nsd.DEQ(activation, sigma_a2=0.2, sigma_b2=0.8, tau0=float(np.sqrt((X**2).sum(axis=1).mean())))
    exact = dict(zip(("ck", "ntk"), nsd.kernels(deq, X, trainable=PAPERS), strict=True))
    bar = {kernel: nsd.equivalent(deq, X, stats, kernel, trainable=PAPERS).dense() for kernel in exact}
    return [relative_distance(exact[kernel], bar[kernel]).spectral for kernel in exact]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--p", type=int, nargs="+", default=[1000], help="dimensions")
    parser.add_argument("--activations", nargs="+", default=["relu", "tanh", "silu"])
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args()
    print(f"{'activation':>12} {'p':>6} {'CK %':>8} {'+-':>6} {'NTK %':>8} {'+-':>6} {'seconds':>8}")
    for activation in given.activations:
        for p in given.p:
            start = time.perf_counter()
            found = 100 * np.array([errors(activation, p, seed) for seed in range(given.draws)])
            (ck, ntk), (ck_spread, ntk_spread) = found.mean(axis=0), found.std(axis=0)
            seconds = time.perf_counter() - start
            print(f"{activation:>12} {p:6d} {ck:8.3f} {ck_spread:6.3f} {ntk:8.3f} {ntk_spread:6.3f} {seconds:8.1f}")


if __name__ == "__main__":
    main()
