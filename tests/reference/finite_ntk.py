"""Kernels of a finite DEQ from its weights alone, by implicit differentiation; NumPy only, nothing of the package.

z = phi(u) / sqrt(m), u = sigma_a A z + sigma_b B x + sigma_c c, f = w . z. Differentiating the equation at the
equilibrium, a perturbation e of u by itself (e = sigma_a dA z, sigma_b dB x, or sigma_c dc) moves the state by
dz = (D / sqrt(m)) (sigma_a A dz + e), D = diag(phi'(u)), so that df = w . dz = v . e with the adjoint vector
v = (I - sigma_a D A^T / sqrt(m))^{-1} D w / sqrt(m). Hence df/dA = sigma_a v z^T, df/dB = sigma_b v x^T and
df/dc = sigma_c v. Without c there is no bias.
"""

import math

import numpy as np


def draw(m, p, seed, readouts=1):
    """Return A (m, m), B (m, p), w (m, readouts) with iid N(0, 1) entries."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, m)), rng.standard_normal((m, p)), rng.standard_normal((m, readouts))


def draw_bias(m, seed):
    """Return c (m) with iid N(0, 1) entries, independent of what draw returns."""
    return np.random.default_rng([seed, 1]).standard_normal(m)


def equilibrium(A, B, X, phi, sigma_a2, sigma_b2, tol=1e-12, max_iter=2000, c=None, sigma_c2=0.0):
    """Return the states Z (n, m) and the pre-activations U (n, m); raise if they do not satisfy the equation."""
    m = len(A)
    injected = math.sqrt(sigma_b2) * X @ B.T + (0.0 if c is None else math.sqrt(sigma_c2) * c)
    Z = np.zeros((len(X), m))
    for _ in range(max_iter):
        U = math.sqrt(sigma_a2) * Z @ A.T + injected
        moved = phi(U) / math.sqrt(m)
        defect = np.linalg.norm(moved - Z)
        Z = moved
        if defect <= tol * np.linalg.norm(Z):
            return Z, U
    raise RuntimeError(f"no equilibrium: defect {defect:.1e} after {max_iter} iterations")


def finite_ck(A, B, X, phi, sigma_a2, sigma_b2, c=None, sigma_c2=0.0):
    """Return the conjugate kernel z_i . z_j of these weights."""
    Z, _ = equilibrium(A, B, X, phi, sigma_a2, sigma_b2, c=c, sigma_c2=sigma_c2)
    return Z @ Z.T


def finite_ntk(A, B, w, X, phi, dphi, sigma_a2, sigma_b2, c=None, sigma_c2=0.0):
    """Return the neural tangent kernel of these weights as the contributions of its parameter sets.

    w has shape (m,), or (m, s) for the mean over s readouts; None takes the expectation over w ~ N(0, I).
    The result is a dict with keys "recurrent", "input", "readout", and "bias" where there is one; the NTK of a set of
    weights is the sum of theirs.
    Cost: n solves of an m x m system; with w=None, n inverses of one.
    """
    Z, U = equilibrium(A, B, X, phi, sigma_a2, sigma_b2, c=c, sigma_c2=sigma_c2)
    m = len(A)
    columns = np.eye(m) if w is None else np.reshape(w, (m, -1))
    V = np.stack([_adjoint(A, dphi(u), columns, sigma_a2).ravel() for u in U])
    alignment = V @ V.T / (1 if w is None else columns.shape[1])
    ck = Z @ Z.T
    parts = {"recurrent": sigma_a2 * ck * alignment, "input": sigma_b2 * (X @ X.T) * alignment, "readout": ck}
    return parts if c is None else parts | {"bias": sigma_c2 * alignment}


def _adjoint(A, slope, columns, sigma_a2):
    """Return (I - sigma_a D A^T / sqrt(m))^{-1} D columns / sqrt(m)."""
    m = len(A)
    scaled = slope[:, None] / math.sqrt(m)
    return np.linalg.solve(np.eye(m) - math.sqrt(sigma_a2) * scaled * A.T, scaled * columns)
