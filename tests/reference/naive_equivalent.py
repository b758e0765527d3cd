"""The four equations and the equivalents written a second time, with loops; nothing of the package.

Moments are Gauss-Legendre sums; second derivatives are weak ones, by Stein's lemma:
``E[f''(s xi)] = E[f'(s xi) xi] / s``. A layer's weight variance w is folded into its function,
``x -> sigma(sqrt(w) x)``. The NTK of a set of weights is the sum of those of its members; the paper's two sets,
{A, w} and all three, fix them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from tests.reference.naive_kernels import Deq, Function, bisect, expectation


@dataclass(frozen=True)
class Moments:
    """Moments of f(s xi), with the names that the equations have them under."""

    mean: float
    square: float
    d1: float
    d1_square: float
    d2: float
    square_d2: float


def moments(f, s):
    x, y, dy = (lambda u: u / s), f.phi, f.slope
    integrands = (
        y,
        lambda u: y(u) ** 2,
        dy,
        lambda u: dy(u) ** 2,
        lambda u: dy(u) * x(u) / s,
        lambda u: 2 * y(u) * dy(u) * x(u) / s,
    )
    return Moments(*map(float, expectation(integrands, f.kinks, f.width, s)))


def deq_numbers(function, sigma_a2, sigma_b2, tau0, trained=None):
    """Return (alpha1, alpha2, alpha3, gamma2), or (beta1, beta2, beta3, kappa2) for a set of trained weights."""
    phi = Deq(function, sigma_a2, sigma_b2, tau0).activation()
    tau = math.sqrt(
        bisect(
            lambda q: sigma_a2 * moments(phi, math.sqrt(q)).square + sigma_b2 * tau0**2 - q,
            sigma_b2 * tau0**2 * (1 - 1e-9),
        )
    )
    m = moments(phi, tau)
    r = 1 - sigma_a2 * m.d1**2
    alpha1 = sigma_b2 * m.d1**2 / r
    alpha4 = sigma_b2 / (1 - sigma_a2 * m.square_d2 / 2)
    alpha2 = m.d2**2 * alpha4**2 / (4 * r)
    lambda1 = sigma_a2 * alpha1 + sigma_b2
    alpha3 = m.d2**2 * lambda1**2 / (2 * r)
    readout = np.array([alpha1, alpha2, alpha3, m.square])
    if trained is None:
        return readout
    papers = np.array(
        [
            alpha1 / r,
            alpha2 / r,
            (alpha3 + alpha1 / r * sigma_a2 * m.d2**2 * lambda1) / r,
            m.square / (1 - sigma_a2 * m.d1_square),
        ]
    )
    everything = np.array(
        [
            alpha1 + lambda1 * m.d1**2 / r,
            alpha2 / r,
            alpha3 + sigma_a2 * alpha3 * m.d1**2 / r + lambda1**2 * m.d2**2 / r**2,
            m.square + tau**2 * m.d1_square / (1 - sigma_a2 * m.d1_square),
        ]
    )
    shares = {"readout": readout, "recurrent": papers - readout, "input": everything - papers}
    return sum(shares[name] for name in trained)


def mlp_numbers(layers, tau0, trained=None):
    """Return the same of an explicit network; layers are tuples (Function, weight_var, learning_rate)."""
    alpha = [1.0, 0.0, 0.0, 1.0]
    beta, kappa2, scale = [0.0, 0.0, 0.0], 0.0, tau0
    for number, (function, weight_var, rate) in enumerate(layers, 1):
        m = moments(folded(function, weight_var), scale)
        rate = rate * (f"layer{number}" in (trained or ()))
        beta = [b + rate * a for b, a in zip(beta, alpha, strict=False)]
        kappa2 += rate * scale**2
        before = alpha[0]
        alpha = [
            m.d1**2 * alpha[0],
            m.d1**2 * alpha[1] + m.d2**2 * alpha[3] ** 2 / 4,
            m.d1**2 * alpha[2] + m.d2**2 * alpha[0] ** 2 / 2,
            m.square_d2 * alpha[3] / 2,
        ]
        beta = [m.d1**2 * beta[0], m.d1**2 * beta[1], m.d1**2 * beta[2] + m.d2**2 * before * beta[0]]
        kappa2 *= m.d1_square
        scale = math.sqrt(m.square)
    readout = np.array([*alpha[:3], scale**2])
    if trained is None:
        return readout
    return np.array([*beta, kappa2]) + ("readout" in trained) * readout


def parallel_numbers(branches, tau0, trained=None):
    """Return the same of parallel branches, each given by its layers."""
    total = np.zeros(4)
    for number, layers in enumerate(branches, 1):
        own = None
        if trained is not None:
            own = [name.split(".")[-1] for name in trained if name.startswith(f"branch{number}.") or name == "readout"]
        total += mlp_numbers(layers, tau0, own)
    return total


def folded(function, weight_var):
    root = math.sqrt(weight_var)
    return Function(
        lambda x: function.phi(root * x),
        lambda x: root * function.slope(root * x),
        tuple(k / root for k in function.kinks),
        function.width / root,
    )


def matrix(numbers, tau0, X, y, means, covariances):
    """Return the equivalent of a kernel on samples X with labels y of a mixture, entry by entry."""
    n, p = X.shape
    classes = range(len(means))
    proportion = [sum(label == a for label in y) / n for a in classes]
    common = sum(proportion[a] * covariances[a] for a in classes)
    t = [np.trace(covariances[a] - common) / math.sqrt(p) for a in classes]
    psi = [np.sum((X[i] - means[y[i]] / math.sqrt(p)) ** 2) - np.trace(covariances[y[i]]) / p for i in range(n)]
    linear, norms, products, diagonal = numbers
    out = np.empty((n, n))
    for i, j in product(range(n), repeat=2):
        a, b = y[i], y[j]
        T = np.trace(covariances[a] @ covariances[b]) / p
        fluctuation = (t[a] / math.sqrt(p) + psi[i]) * (t[b] / math.sqrt(p) + psi[j])
        out[i, j] = linear * float(X[i] @ X[j]) + norms * fluctuation + products * T / p
        if i == j:
            out[i, j] += diagonal - tau0**2 * linear
    return out
