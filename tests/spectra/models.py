"""Class models, and what is known of them without the equations: samples, moments, classical laws."""

from __future__ import annotations

import math

import numpy as np

from notsodeep.spectra import ClassModel


def rotated(p: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))[0]


def wishart(p: int, m: int, seed: int) -> np.ndarray:
    A = np.random.default_rng(seed).standard_normal((p, m))
    return A @ A.T / m


def commuting(p: int) -> np.ndarray:
    basis = rotated(p, 3)
    values = np.repeat([0.5, 1.0, 3.0], p // 3 + 1)[:p]
    return np.stack([basis * v @ basis.T for v in (values, 4.0 - values)])


def half_and_half(p: int) -> np.ndarray:
    """Two classes in orthogonal halves of the space: their spectra do not know of each other."""
    one = np.repeat([1.0, 0.0], [p // 2, p - p // 2])
    return np.stack([one, 2.0 * (1.0 - one)])


MODELS = {
    "one class": ClassModel([150], 1.0, p=300),
    "more rows than columns": ClassModel([600, 200], [1.0, 3.0], p=300),
    "two shifts": ClassModel([300, 150], [1.0, 3.0], p=300, shifts=[0.2, 0.9]),
    "far shifts": ClassModel([300, 150], [1.0, 3.0], p=300, shifts=[0.0, 30.0]),
    "large shift": ClassModel([300, 150], [1.0, 3.0], p=300, shifts=[1e3, 1e3 + 0.5]),
    "two scales": ClassModel([900, 600], np.repeat([[1.0, 40.0], [1.0, 20.0]], 150, axis=1)),
    "distinct eigenvalues": ClassModel([200, 200], np.random.default_rng(0).uniform(0.3, 3.0, (2, 300))),
    "commuting": ClassModel([200, 100], commuting(120), shifts=[0.1, 0.0]),
    "orthogonal ranges": ClassModel([100, 300], half_and_half(300), shifts=[0.0, 0.7]),
    "an atom inside": ClassModel([150, 300], [[1.0] * 300, [0.0] * 200 + [2.0] * 100], shifts=[0.0, 1.0]),
    "hard edge": ClassModel([300], 1.0, p=300),
    "hard edge of one of two": ClassModel([180, 300], [1.0, 3.0], p=300, shifts=[0.0, 3.0]),
    "no covariance": ClassModel([100, 300], [0.0, 1.0], p=200, shifts=[1.0, 0.0]),
    "an empty class": ClassModel([0, 300, 100], [5.0, 1.0, 2.0], p=400),
    "noise": ClassModel([300, 150], [1.0, 2.0], p=200, shifts=[0.0, 0.5], noise=[[0.2, 0.1], [0.1, 0.3]]),
    "ten classes": ClassModel([60] * 10, np.linspace(0.5, 2.0, 10), p=400, shifts=np.linspace(0.0, 0.3, 10)),
}
"""Models whose density is solved in milliseconds; all of them but the first make several classes meet."""

DENSE = ClassModel([60, 90], np.stack([wishart(60, 120, 1), wishart(60, 90, 2)]), shifts=[0.2, 0.2])
"""Covariances that do not commute."""


def full(model: ClassModel) -> np.ndarray:
    """Return the covariances (K, p, p)."""
    c = model.covariances
    if c.ndim == 1:
        return c[:, None, None] * np.eye(model.p)
    return c if c.ndim == 3 else np.stack([np.diag(v) for v in c])


def draw(model: ClassModel, seed: int) -> np.ndarray:
    """Return one matrix of the model, written out."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(model.n_classes), model.counts)
    Z = rng.standard_normal((model.n, model.p))
    for a, S in enumerate(full(model)):
        values, vectors = np.linalg.eigh(S)
        root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        Z[y == a] = Z[y == a] @ root / math.sqrt(model.p)
    J = (y[:, None] == np.arange(model.n_classes)).astype(float)
    traces = np.array([np.trace(S) for S in full(model)]) / model.p
    psi = ((Z**2).sum(axis=1) - traces[y]) / model.norm_scales[y]
    U = np.column_stack([J / math.sqrt(model.p), Z @ model.means.T, psi])
    noise = np.triu(rng.standard_normal((model.n, model.n)) * np.sqrt(model.noise[y][:, y] / model.p))
    return Z @ Z.T + np.diag(model.shifts[y]) + noise + np.triu(noise, 1).T + U @ model.core @ U.T


def moments(model: ClassModel) -> tuple[float, float]:
    """Return the mean and the variance of the limit, from traces of the covariances."""
    S, p, share = full(model), model.p, model.counts / model.n
    tau = np.trace(S, axis1=1, axis2=2) / p
    products = np.einsum("aij,bji->ab", S, S) / p + model.noise
    diagonal = model.shifts + tau
    mean = share @ diagonal
    return mean, share @ (diagonal - mean) ** 2 + share @ products @ model.counts / p


def marchenko_pastur(c: float, x: np.ndarray) -> np.ndarray:
    """Return the density of ZZ' at p / n = c, for rows of variance 1 / p."""
    low, high = (1.0 - c**-0.5) ** 2, (1.0 + c**-0.5) ** 2
    return c * np.sqrt(np.maximum((high - x) * (x - low), 0.0)) / (2.0 * np.pi * x)


def scattered(seed: int) -> ClassModel:
    """Return classes of quite different sizes, whose variances are scattered over decades: dozens of intervals."""
    rng = np.random.default_rng(seed)
    k, p = int(rng.integers(2, 5)), 20
    counts = 1 + (p * 10.0 ** rng.uniform(-1.0, 2.0, k)).astype(int)
    variances = 10.0 ** rng.uniform(-2.0, 2.0, (k, p)) * (rng.random((k, p)) < 0.7)
    return ClassModel(counts, variances, shifts=0.01 * rng.standard_normal(k))
