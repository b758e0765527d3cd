"""Time and peak memory of the structured operator, whose matrix is never stored, in a process of its own.

Run ``python benchmarks/operators.py`` (n = 200 000, p = 784, R = 3, k = 20; two minutes on two cores), or for instance
``python benchmarks/operators.py --n 20000 --squares --dtype float32``. Peak memory is that of the whole process so far.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from notsodeep.equivalents import EquivalentOperator


def samples(n, p, dtype):
    """Return Gaussian samples of mean squared norm 1, made in place."""
    X = np.empty((n, p), dtype)
    np.random.default_rng(0).standard_normal(out=X, dtype=dtype)
    X /= np.sqrt(p)
    return X


def operator_of(X, terms, k, with_squares, edge):
    """Return a positive definite operator, one of whose weights is negative, with k isolated eigenvalues (or none)."""
    rng, (n, p) = np.random.default_rng(1), X.shape
    scalings = 1.0 + 0.1 * rng.standard_normal((n, terms))
    weights = np.where(np.arange(terms) == 2, -0.02, 0.5)
    top = terms * (1.0 + np.sqrt(n / p)) ** 2  # of the Gram matrices, about
    V, C = rng.standard_normal((n, k)) / np.sqrt(n), np.diag(1.0 + np.arange(k)) * (1.0 if edge else top)
    squares = (1.0 + 0.1 * rng.standard_normal((n, 1)), [0.1]) if with_squares else None
    return EquivalentOperator(X, scalings, weights, V, C, 0.3 + 0.4 * rng.random(n), squares)


def peak():
    """Return the largest resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def timed(name, job):
    start = time.perf_counter()
    result = job()
    print(f"{name:>34} {time.perf_counter() - start:8.2f} s {peak():7.2f} GB", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--p", type=int, default=784)
    parser.add_argument("--terms", type=int, default=3, help="scaled Gram matrices")
    parser.add_argument("--k", type=int, default=20, help="columns of the low-rank part")
    parser.add_argument("--squares", action="store_true", help="add a scaled squared Gram matrix")
    parser.add_argument("--edge", action="store_true", help="no isolated eigenvalues: the largest are those of a bulk")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    given = parser.parse_args()
    X = timed("samples", lambda: samples(given.n, given.p, np.dtype(given.dtype).type))
    A = timed("constructor", lambda: operator_of(X, given.terms, given.k, given.squares, given.edge))
    print(A)
    b = np.random.default_rng(2).standard_normal(given.n)
    timed("@, a vector", lambda: A @ b)
    timed("@, ten columns", lambda: A @ np.stack([b] * 10, axis=1))
    timed("trace", A.trace)
    x = timed("solve, first", lambda: A.solve(b))
    timed("solve, again", lambda: A.solve(b))
    print(f"residual / right-hand side {np.linalg.norm(A @ x - b) / np.linalg.norm(b):.1e}")
    if not given.squares:
        timed("logdet", A.logdet)
    for which in ("LA", "LM"):
        values, vectors = timed(f"eigsh, 3 {which}", lambda which=which: A.eigsh(3, which))
        print(f"{np.array2string(values, precision=6)}, residual {np.abs(A @ vectors - vectors * values).max():.1e}")


if __name__ == "__main__":
    main()
