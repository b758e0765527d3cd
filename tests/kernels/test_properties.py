"""Properties of the kernels on data that are made to hurt: copies, collinear samples, tiny and huge norms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import notsodeep as nsd
from notsodeep.activations.duals import Dual
from notsodeep.kernels import tiling
from notsodeep.kernels.scalar import rest_point
from tests.kernels.kit import Quiet
from tests.tolerances import DEFINITE, KERNEL, SAME_PAIR, assert_close

ACTIVATIONS = ("relu", "tanh", "silu", "elu", "hardtanh", "erf", "cos", "softsign", "gelu", "leaky_relu")
FEW = settings(max_examples=8, deadline=None, derandomize=True)


@st.composite
def adversarial(draw):
    """Return samples of which many are copies, opposite, multiples or neighbours of others; norms from 1e-3 to 30."""
    seed, n, p = draw(st.integers(0, 2**32 - 1)), draw(st.integers(2, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X *= (np.exp(rng.uniform(math.log(1e-3), math.log(30.0), n)) / np.linalg.norm(X, axis=1))[:, None]
    kinds = draw(
        st.lists(st.sampled_from(["copy", "opposite", "multiple", "near", "none"]), min_size=n - 1, max_size=n - 1)
    )
    for i, kind in enumerate(kinds, 1):
        other = X[rng.integers(i)]
        if kind == "copy":
            X[i] = other
        elif kind == "opposite":
            X[i] = -other
        elif kind == "multiple":
            X[i] = np.exp(rng.uniform(-3, 3)) * other
        elif kind == "near":
            X[i] = other + 10 ** rng.uniform(-12, -3) * np.linalg.norm(other) * rng.standard_normal(p)
    return X


@st.composite
def specs(draw):
    if draw(st.booleans()):
        name, bias = draw(st.sampled_from(ACTIVATIONS)), draw(st.sampled_from([0.0, 0.0, 0.2]))
        return nsd.DEQ(name, draw(st.sampled_from([0.0, 0.2, 0.5])), 0.8, center=draw(st.booleans()), sigma_c2=bias)
    names = draw(st.lists(st.sampled_from(ACTIVATIONS), min_size=1, max_size=3))
    return nsd.MLP([nsd.Layer(name, draw(st.sampled_from([0.5, 1.5])), bias_var=0.1) for name in names])


@pytest.fixture(params=[0, 1 << 60], ids=["compiled", "torch"], autouse=True, scope="module")
def route(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "COMPILED_FROM", request.param)
        yield


def kernels(spec, X, Y=None):
    with Quiet():
        return nsd.kernels(spec, X, Y)


@FEW
@given(spec=specs(), X=adversarial())
def test_kernels_are_symmetric_and_positive_semidefinite(spec, X):
    for K in kernels(spec, X):
        assert np.isfinite(K).all()
        np.testing.assert_array_equal(K, K.T)
        assert np.linalg.eigvalsh(K)[0] >= DEFINITE * np.trace(K) / len(K)


@FEW
@given(spec=specs(), X=adversarial())
def test_rectangular_and_square_calls_agree(spec, X):
    half = len(X) // 2
    for block, K, bound in zip(kernels(spec, X, X[half:].copy()), kernels(spec, X), bounds(spec, X), strict=True):
        assert_close(block, K[:, half:], 1.0, scale=bound[:, half:])


@FEW
@given(spec=specs(), X=adversarial(), seed=st.integers(0, 100))
def test_order_of_the_samples_does_not_matter(spec, X, seed):
    order = np.random.default_rng(seed).permutation(len(X))
    places = np.ix_(order, order)
    for moved, K, bound in zip(kernels(spec, X[order]), kernels(spec, X), bounds(spec, X), strict=True):
        assert_close(moved, K[places], 1.0, scale=bound[places])


def bounds(spec, X):
    """Return what the rounding of the Gram matrix can do to both kernels, beside ``KERNEL``.

    Rounding moves a correlation by some units in the last place; the slope kernel of a kinked activation changes by
    the root of it near correlation 1, at every layer.
    """
    G, K = kernels(spec, X)
    unit = X / np.linalg.norm(X, axis=1)[:, None]
    gap = np.minimum(((unit[:, None] - unit) ** 2).sum(axis=2), ((unit[:, None] + unit) ** 2).sum(axis=2))
    depth = 1 if isinstance(spec, nsd.DEQ) else spec.depth
    rounding = 1e-15 * (1.0 + np.abs(np.log(np.linalg.norm(X, axis=1))).max())
    roots = depth * np.where(gap > 1e-14, rounding / np.sqrt(np.maximum(gap, 1e-14)), np.sqrt(64 * rounding))
    sizes = [np.sqrt(np.outer(M.diagonal(), M.diagonal())) for M in (G, K)]
    return (KERNEL + roots * rounding) * sizes[0], (KERNEL + roots) * sizes[1]


@FEW
@given(name=st.sampled_from(ACTIVATIONS), scales=st.tuples(st.floats(0.05, 10.0), st.floats(0.05, 10.0)))
def test_expectations_minus_their_value_at_zero_rise_with_the_correlation(name, scales):
    """For u = v the Mehler series has nonnegative coefficients: it and its slope rise with rho >= 0."""
    phi = rest_point(nsd.DEQ(name)).activation
    for s in scales:
        rho = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)
        scale = torch.tensor([s], dtype=torch.float64)
        zero = torch.zeros(len(rho), dtype=torch.int64)
        value, slope = Dual(phi, scale, scale)(zero, zero, rho)
        for rising, unit in ((value, value[-1]), (slope, slope[-1])):
            assert float(torch.diff(rising).min()) >= -SAME_PAIR * float(unit)
        assert float(slope.min()) >= -SAME_PAIR * float(slope[-1])
