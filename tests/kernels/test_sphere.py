"""Kernels between samples of one norm: against the kernels of pairs, against 40 digits, and as power series."""

from __future__ import annotations

import copy
import math
import pickle
from functools import cache
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.activations import moments, names
from notsodeep.kernels.scalar import rest_point, sample_variances
from notsodeep.kernels.spherical import SphereKernel, curve, series, sphere
from notsodeep.kernels.spherical.table import GradedTable
from tests.kernels.functions import FUNCTIONS
from tests.kernels.kit import Quiet
from tests.reference import naive_kernels as naive
from tests.tolerances import (
    COEFFICIENTS,
    EXACT,
    HERMITE_COEFFICIENT,
    KERNEL,
    ROUNDING,
    SMALL_MEAN,
    STENCIL,
    STENCIL_AT_A_CUSP,
    assert_close,
)

DIGITS = 40
ANGLES = np.array([0.0, 1e-3, 0.05, 0.4, 1.0, 1.4, math.pi / 2, 1.8, 2.5, 3.0, 3.14, math.pi])
PLANE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
COSINES = PLANE[:, 0].copy()
GAPS = np.array([0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 1.0, 1.5, 1.9, 1.999, 2.0 - 1e-9, 2.0])
"""Of a cosine from 1, to both ends and close to them."""
TRAINABLE = {"ck": "readout", "ntk": "all", "frozen input": ("recurrent", "readout")}
BENT_ASIDE = nsd.Activation(lambda x: np.abs(x - 0.3), lambda x: np.sign(x - 0.3), (0.3,), lambda x: 0.0 * x)
ODD = ("erf", "hardtanh", "sin", "softsign", "tanh", "three_slope")


@pytest.fixture(autouse=True)
def _expected_warnings():
    with Quiet():
        yield


def explicit(*layers):
    return nsd.MLP([nsd.Layer(*layer) for layer in layers])


def only(spec, trainable="all", norm=None):
    """Return a kernel whose table is not made, as the power series does without."""
    trained = frozenset(nsd.spec.weight_names(spec) if trainable == "all" else np.atleast_1d(trainable).tolist())
    return SphereKernel(spec, "ntk", trained, norm or spec.tau0)


def against_pairs(spec, norm, trainable="all"):
    """Compare both kernels with those of samples in a plane; a slope that jumps feels the rounding of their cosine."""
    first, others = norm * PLANE[:1], norm * PLANE
    G, K = nsd.kernels(spec, first, others, trainable=trainable)
    f, g = sphere(spec, norm=norm), sphere(spec, "ntk", trainable, norm=norm)
    assert_close(f(COSINES), G[0], KERNEL, what=f"ck of {spec}")
    assert_close(g(COSINES), K[0], KERNEL, what=f"ntk of {spec}")


class TestAgainstPairsOfSamples:
    @pytest.mark.parametrize("name", names())
    def test_every_registered_activation(self, name):
        against_pairs(nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.7), 1.0)

    @pytest.mark.parametrize("name", ["relu", "softplus", "cos", "tanh"])
    def test_not_centred_with_a_bias_and_part_of_the_weights(self, name):
        deq = nsd.DEQ(name, sigma_a2=0.6, sigma_b2=0.3, center=False, sigma_c2=0.2)
        against_pairs(deq, 1.0, ("recurrent", "bias"))

    @pytest.mark.parametrize("norm", [0.2, 2.5])
    @pytest.mark.parametrize("name", ["relu", "silu", "hardtanh"])
    def test_another_norm_than_the_one_it_is_made_for(self, name, norm):
        against_pairs(nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.7, tau0=1.2), norm)

    @pytest.mark.parametrize(
        "mlp",
        [
            explicit(("relu", 2.0), ("relu", 2.0), ("relu", 2.0)),
            explicit(("abs", 1.0, 0.5, 0.1), ("relu", 2.0, 0.3), ("tanh", 1.5)),
            explicit(("hardtanh", 2.0), ("hardtanh", 1.5, 0.0, 0.3)),
            explicit(("elu", 1.2, 3.0), ("cos", 0.5), ("identity", 2.5, 0.2)),
        ],
        ids=["relu x 3", "abs, relu, tanh", "hardtanh x 2", "elu, cos, identity"],
    )
    def test_explicit_networks(self, mlp):
        against_pairs(mlp, 1.3)
        against_pairs(mlp, 1.3, ("layer1", "layer2"))

    def test_parallel_branches(self):
        par = nsd.Parallel((explicit(("relu", 2.0, 0.3, 0.1), ("tanh", 1.5)), explicit(("abs", 1.0, 0.5))))
        against_pairs(par, 1.3)
        against_pairs(par, 1.3, ("branch1.bias1", "branch2.layer1"))
        against_pairs(par, 1.3, "branch2.layer1")

    def test_one_number_decides_for_samples_of_many_features(self):
        X = np.random.default_rng(3).standard_normal((20, 7))
        X /= np.linalg.norm(X, axis=1)[:, None]
        deq = nsd.DEQ("gelu", sigma_a2=0.4, sigma_b2=0.6)
        assert_close(sphere(deq, "ntk")(X @ X.T), nsd.ntk(deq, X), KERNEL)


class Relu:
    """A ReLU DEQ in 40 digits, by the arc-cosine law; the correlation of pre-activations by bisection and Newton."""

    def __init__(self, sigma_a2, sigma_b2, center, sigma_c2=0.0, tau0=1.0, norm=1.0):
        self.a2, self.b2, self.c2 = mp.mpf(sigma_a2), mp.mpf(sigma_b2), mp.mpf(sigma_c2)
        self.input = self.b2 * mp.mpf(norm) ** 2
        lost = 1 / (2 * mp.pi) if center else 0
        rest = (self.b2 * mp.mpf(tau0) ** 2 + self.c2) / (1 - self.a2 * (mp.mpf(0.5) - lost))
        self.shift = mp.sqrt(rest / (2 * mp.pi)) if center else mp.mpf(0)
        self.q = mp.findroot(lambda q: self.a2 * self.value(q, 1) + self.input + self.c2 - q, rest, tol=1e-70)

    def value(self, q, u):
        bare = q * (mp.sqrt(1 - mp.mpf(u) ** 2) + (mp.pi - mp.acos(u)) * u) / (2 * mp.pi)
        return bare - 2 * self.shift * mp.sqrt(q / (2 * mp.pi)) + self.shift**2

    def solve(self, rho):
        """Return the correlation u for a cosine: q u = sigma_a2 H(u) + sigma_b2 r^2 rho + sigma_c2."""
        if rho == 1:
            return mp.mpf(1)
        low, high = mp.mpf(-1), mp.mpf(1)
        for _ in range(4 * DIGITS):
            u = (low + high) / 2
            above = self.a2 * self.value(self.q, u) + self.input * rho + self.c2 > self.q * u
            low, high = (u, high) if above else (low, u)
        return u

    def kernels(self, rho):
        """Return CK and full NTK with their derivatives in the cosine."""
        rho = mp.mpf(rho)
        u = self.solve(rho)
        d = (mp.pi - mp.acos(u)) / (2 * mp.pi)
        bend = 1 / (2 * mp.pi * mp.sqrt(1 - u * u)) if u < 1 else mp.inf
        g, room = self.value(self.q, u), 1 - self.a2 * d
        source = self.a2 * g + self.input * rho + self.c2
        g1, source1 = self.input * d / room, self.input / room
        k = g + source * d / room
        k1 = g1 + source1 * d / room + source * bend * self.input / (self.q * room**3)
        return g, k, g1, k1


def digits_apart(values, wanted, scale):
    """Return the differences before they are rounded to doubles, relative to ``scale``."""
    return [
        float((mp.mpf(float(v)) - w) / scale) if mp.isfinite(w) else 0.0 for v, w in zip(values, wanted, strict=True)
    ]


class TestAgainstFortyDigits:
    @pytest.mark.parametrize(
        "case",
        [
            {"sigma_a2": 0.2, "sigma_b2": 0.8, "center": True},
            {"sigma_a2": 0.9, "sigma_b2": 0.1, "center": False},
            {"sigma_a2": 1.5, "sigma_b2": 0.1, "center": True, "sigma_c2": 0.3},
            {"sigma_a2": 0.5, "sigma_b2": 0.5, "center": True, "tau0": 1.0, "norm": 1.7},
        ],
        ids=["centred", "as it is", "bias, far from a contraction", "another norm"],
    )
    def test_relu_with_derivatives_up_to_both_ends(self, case):
        norm = case.get("norm", 1.0)
        deq = nsd.DEQ("relu", **{k: v for k, v in case.items() if k != "norm"})
        f, g, rhos = sphere(deq, norm=norm), sphere(deq, "ntk", norm=norm), 1.0 - GAPS
        with mp.workdps(DIGITS):
            wanted = list(zip(*(Relu(**case).kernels(float(rho)) for rho in rhos), strict=True))
            for got, want in zip((f(rhos), g(rhos), f.derivative(rhos)), wanted, strict=False):
                assert_close(digits_apart(got, want, want[0]), np.zeros(len(rhos)), KERNEL, scale=1.0)
            slopes = g.derivative(rhos)
            sizes = [max(abs(k1), 1) for k1 in wanted[3]]
            apart = [digits_apart([v], [w], s)[0] for v, w, s in zip(slopes, wanted[3], sizes, strict=True)]
        assert slopes[0] == np.inf
        assert_close(apart, np.zeros(len(rhos)), KERNEL, scale=1.0)

    @pytest.mark.parametrize("sigma_a2", [1.9, 1.99])
    def test_close_to_the_limit_of_stability(self, sigma_a2):
        room = 1.0 - 0.5 * sigma_a2
        deq = nsd.DEQ("relu", sigma_a2=sigma_a2, sigma_b2=0.1)
        rhos = 1.0 - GAPS[:9]
        with mp.workdps(DIGITS):
            wanted = list(zip(*(Relu(sigma_a2, 0.1, True).kernels(float(rho)) for rho in rhos), strict=True))
            for kernel, want in zip((sphere(deq), sphere(deq, "ntk")), wanted, strict=False):
                assert_close(digits_apart(kernel(rhos), want, want[0]), np.zeros(9), EXACT / room, scale=1.0)

    def test_digits_pass_through_an_even_layer(self):
        """After an even layer the sign is lost: close to -1 all must be as close to 1, where the NTK is a root."""
        f = sphere(explicit(("abs", 1.0), ("relu", 1.0)), "ntk", "layer2", norm=1.0)
        assert_close(f(GAPS[:7] - 1.0), f(1.0 - GAPS[:7]), ROUNDING)

    @pytest.mark.parametrize("clip", [1.0, 0.03])
    def test_hard_tanh_by_quadrature(self, clip):
        mlp = nsd.MLP(nsd.Layer(nsd.activation("hardtanh", clip=clip)))
        f, rhos = sphere(mlp, norm=1.0), 1.0 - np.array([1e-12, 1e-5, 0.3])
        with mp.workdps(20):
            wanted = [clipped_pair(mp.mpf(clip), mp.mpf(float(rho))) for rho in rhos]
            assert_close(digits_apart(f(rhos), wanted, mp.mpf(f(1.0))), np.zeros(3), KERNEL, scale=1.0)

    @pytest.mark.parametrize(
        ("name", "rho"), [("tanh", 1.0 - 1e-6), ("silu", 1.0 - 1e-6), ("silu", -0.7), ("elu", 0.9)]
    )
    def test_smooth_functions_against_the_naive_implementation(self, name, rho):
        model, trained = naive.Deq(FUNCTIONS[name], 0.3, 0.7, sigma_c2=0.1), ("recurrent", "input", "bias", "readout")
        want = model.kernels(np.array([1.0, 0.0]), np.array([rho, math.sqrt((1 - rho) * (1 + rho))]), trained)
        deq = nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.7, sigma_c2=0.1)
        for kernel, value in zip(("ck", "ntk"), want, strict=True):
            f = sphere(deq, kernel)
            assert_close(f(rho), value, KERNEL, scale=f(1.0), what=kernel)


def clipped_pair(clip, u):
    """Return E[clip(x) clip(y)] for correlation u: the mean given x is elementary, the rest is one integral."""
    width = mp.sqrt((1 - u) * (1 + u))

    def mean(x):
        def above(a):
            z = (u * x - a) / width
            return width * (z * mp.ncdf(z) + mp.npdf(z))

        return -clip + above(-clip) - above(clip)

    near = [side * clip + step * width for side in (-1, 1) for step in (-12, -3, 0, 3, 12)]
    cuts = sorted({mp.mpf(-12), mp.mpf(0), mp.mpf(12), *near})
    return mp.quad(lambda x: mp.npdf(x) * max(min(x, clip), -clip) * mean(x), cuts)


class TestDerivative:
    @pytest.mark.parametrize("trainable", TRAINABLE.values(), ids=TRAINABLE)
    @pytest.mark.parametrize("name", ["cos", "elu:alpha=0.5", "hardtanh", "leaky_relu", "selu", "silu", "softsign"])
    def test_is_the_slope_of_the_kernel(self, name, trainable):
        slopes_agree(sphere(nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.7), "ntk", trainable))

    @pytest.mark.parametrize("trainable", ["readout", "all", "layer2"])
    def test_of_an_explicit_network(self, trainable):
        mlp = explicit(("elu:alpha=0.5", 1.2, 3.0), ("hardtanh", 0.8, 1.0, 0.2), ("tanh", 2.0))
        slopes_agree(sphere(mlp, "ntk", trainable, norm=1.1))

    @pytest.mark.parametrize("trainable", ["readout", "all", "branch2.layer1"])
    def test_of_parallel_branches(self, trainable):
        par = nsd.Parallel((explicit(("elu:alpha=0.5", 1.2, 3.0), ("tanh", 2.0)), explicit(("hardtanh", 0.8, 0.5))))
        slopes_agree(sphere(par, "ntk", trainable, norm=1.1))

    def test_of_weights_beside_a_branch_that_jumps(self):
        """The weights of the other branch have a finite NTK, which those of a branch with a jump have not."""
        par, alone = nsd.Parallel((explicit((step(), 1.0)), explicit(("tanh", 1.0)))), explicit(("tanh", 1.0))
        f, wanted = sphere(par, "ntk", "branch2.layer1", norm=1.0), sphere(alone, "ntk", "layer1", norm=1.0)
        assert_close(f(COSINES), wanted(COSINES), EXACT)
        assert_close(f.derivative(COSINES), wanted.derivative(COSINES), EXACT)
        with pytest.raises(ValueError, match="NTK is infinite"):
            sphere(par, "ntk", "branch1.layer1", norm=1.0)

    def test_of_an_activation_made_from_a_function_alone(self):
        bent = nsd.Activation(lambda x: torch.abs(x - 0.3) + 0.5 * torch.tanh(x), kinks=(0.3,))
        slopes_agree(sphere(nsd.DEQ(bent, sigma_a2=0.15, sigma_b2=0.85), "ntk"))

    @pytest.mark.parametrize(
        ("spec", "at_minus_one", "at_one"),
        [
            (nsd.DEQ("relu"), -1, np.inf),
            (nsd.DEQ("hardtanh"), np.inf, np.inf),
            (nsd.DEQ("hardtanh", sigma_c2=0.1), 1, np.inf),
            (nsd.DEQ("hardtanh", sigma_a2=0.0), np.inf, np.inf),
            (nsd.DEQ("elu:alpha=0.5"), -1, np.inf),
            (nsd.DEQ("elu"), -1, 1),
            (nsd.DEQ("softsign"), 1, 1),
            (explicit(("abs", 1.0)), -np.inf, np.inf),
            (explicit(("relu", 1.0), ("tanh", 1.0)), -np.inf, np.inf),
            (explicit(("tanh", 1.0), ("relu", 1.0)), -np.inf, np.inf),
            (explicit(("tanh", 1.0), ("relu", 1.0, 1.0, 0.2)), 1, np.inf),
            (explicit((BENT_ASIDE, 1.0)), 1, np.inf),
            (nsd.Parallel((explicit(("tanh", 1.0)), explicit(("relu", 1.0, 1.0, 0.2)))), 1, np.inf),
            (nsd.Parallel((explicit(("abs", 1.0)), explicit(("hardtanh", 0.1)))), -np.inf, np.inf),
            (nsd.Parallel((explicit(("abs", 0.1)), explicit(("hardtanh", 2.0)))), np.inf, np.inf),
        ],
        ids=str,
    )
    def test_is_infinite_where_a_slope_jumps_between_equal_or_opposite_pre_activations(
        self, spec, at_minus_one, at_one
    ):
        f = sphere(spec, "ntk", norm=1.0)
        found, expected = f.derivative(np.array([-1.0, 1.0])), np.array([at_minus_one, at_one])
        assert not np.isnan(found).any()
        np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
        np.testing.assert_array_equal(found[np.isinf(expected)], expected[np.isinf(expected)])
        assert np.isfinite(f.derivative(np.array([-1.0 + 1e-12, 1.0 - 1e-12]))).all()

    def test_of_weights_that_contribute_nothing(self):
        f = sphere(nsd.DEQ("relu", sigma_a2=0.0), "ntk", "recurrent")
        np.testing.assert_array_equal(f.derivative(COSINES), np.zeros(len(COSINES)))

    def test_of_a_conjugate_kernel_whose_activation_jumps(self):
        """E[sign sign] = 2 asin(u) / pi."""
        f = sphere(explicit((step(), 1.0)), norm=1.0)
        rhos = 1.0 - GAPS
        assert_close(f(rhos), 2.0 / math.pi * np.arcsin(rhos), KERNEL)
        with np.errstate(divide="ignore"):
            slopes = 2.0 / math.pi / np.sqrt((1.0 - rhos) * (1.0 + rhos))
        assert_close(f.derivative(rhos)[1:-1], slopes[1:-1], KERNEL, scale=slopes[1:-1])
        np.testing.assert_array_equal(f.derivative([-1.0, 1.0]), [np.inf, np.inf])

    def test_says_what_it_lacks(self, monkeypatch):
        """A second derivative by numerical differentiation is too rough for some functions, after a long try."""

        def rough(*_):
            raise nsd.errors.ConvergenceError("it did not settle")

        plain = nsd.Activation(lambda x: np.sin(np.asarray(x)), lambda x: np.cos(np.asarray(x)))
        given = nsd.Activation(np.sin, np.cos, second_derivative=lambda x: -np.sin(x))
        for activation, said in ((plain, "second_derivative="), (given, "did not settle")):
            f = sphere(explicit((activation,)), "ntk", norm=1.0)
            with monkeypatch.context() as patched:
                patched.setattr(curve, "_tabulate", rough)
                with pytest.raises(nsd.errors.ConvergenceError, match=said):
                    f.derivative(0.5)


def step():
    return nsd.Activation(np.sign, lambda x: 0.0 * x, (0.0,), lambda x: 0.0 * x)


def slopes_agree(f):
    """Compare the derivative with five-point differences."""
    h, rhos = 1e-3, np.array([-0.9, -0.6, -0.2, 0.0, 0.1, 0.4, 0.7, 0.9])
    want = (8.0 * (f(rhos + h) - f(rhos - h)) - (f(rhos + 2.0 * h) - f(rhos - 2.0 * h))) / (12.0 * h)
    away = np.abs(rhos) < 0.8
    assert_close(f.derivative(rhos)[away], want[away], STENCIL)
    assert_close(f.derivative(rhos), want, STENCIL_AT_A_CUSP)


@cache
def coefficients(name, sigma_a2, center, trainable, count=200):
    spec = nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=1.0 - sigma_a2, center=center)
    return only(spec, TRAINABLE[trainable]).coefficients(count)


class TestPowerSeries:
    @pytest.mark.parametrize("kernel", TRAINABLE)
    @pytest.mark.parametrize("sigma_a2", [0.2, 0.6])
    @pytest.mark.parametrize("name", names())
    def test_has_nonnegative_coefficients_that_add_up_to_no_more_than_the_kernel(self, name, sigma_a2, kernel):
        for center in (True, False):
            try:
                c = coefficients(name, sigma_a2, center, kernel)
            except ValueError as unstable:
                assert "no stable kernel fixed point" in str(unstable)  # noqa: PT017
                continue
            spec = nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=1.0 - sigma_a2, center=center)
            G, K = nsd.kernels.diagonals(spec, np.array([[1.0]]), trainable=TRAINABLE[kernel])
            assert c.shape == (200,)
            assert (c >= 0.0).all()
            assert c.sum() <= K[0] * (1.0 + KERNEL)
            assert c.sum() >= 0.8 * K[0]
            assert K[0] >= G[0]

    @pytest.mark.parametrize("name", names())
    def test_is_the_kernel(self, name):
        """One is summed from Hermite coefficients, the other interpolated from bivariate expectations."""
        deq = nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.7, center=False, sigma_c2=0.1)
        f, rho = sphere(deq, "ntk"), np.array([-0.6, -0.3, 0.0, 0.3, 0.6])
        assert_close(np.polynomial.polynomial.polyval(rho, f.coefficients(90)), f(rho), KERNEL)

    @pytest.mark.parametrize("trainable", ["readout", "all", ("bias1", "layer3")])
    def test_of_an_explicit_network(self, trainable):
        mlp = explicit(("relu", 1.2, 3.0, 0.3), ("softplus", 0.8, 1.0, 0.2), ("tanh", 2.0))
        f, rho = sphere(mlp, "ntk", trainable, norm=1.1), np.array([-0.6, 0.3, 0.6])
        c = f.coefficients(90)
        assert (c >= 0.0).all()
        assert_close(np.polynomial.polynomial.polyval(rho, c), f(rho), KERNEL)

    @pytest.mark.parametrize("trainable", ["all", ("branch1.bias1", "branch2.layer1")])
    def test_of_parallel_branches(self, trainable):
        par = nsd.Parallel((explicit(("relu", 1.2, 3.0, 0.3), ("softplus", 0.8)), explicit(("tanh", 2.0))))
        f, rho = sphere(par, "ntk", trainable, norm=1.1), np.array([-0.6, 0.3, 0.6])
        c = f.coefficients(90)
        assert (c >= 0.0).all()
        assert_close(np.polynomial.polynomial.polyval(rho, c), f(rho), KERNEL)

    @pytest.mark.parametrize(("kernel", "power"), [("ck", 1.5), ("ntk", 0.5)])
    def test_of_relu_sums_to_the_kernel_as_its_singularity_says(self, kernel, power):
        """(1 - rho)^(3/2) in the CK and (1 - rho)^(1/2) in the NTK leave n^(-3/2) and n^(-1/2) after n terms."""
        deq = nsd.DEQ("relu")
        f = sphere(deq, kernel)
        c = f.coefficients(800)
        left = [f(1.0) - c[:n].sum() for n in (50, 200, 800)]
        for earlier, later in pairwise(left):
            assert 0.8 * 4.0**-power < later / earlier < 1.25 * 4.0**-power

    @pytest.mark.parametrize("name", ["silu", "tanh", "cos", "softplus"])
    def test_of_smooth_functions_sums_to_the_kernel(self, name):
        for kernel in ("ck", "ntk"):
            f = sphere(nsd.DEQ(name), kernel)
            assert_close(f.coefficients(400).sum(), f(1.0), KERNEL)

    def test_of_odd_and_of_even_functions_has_every_other_term(self):
        for name in ODD:
            assert not coefficients(name, 0.2, True, "ntk")[::2].any(), name
        c = only(explicit(("cos", 1.0), ("abs", 1.0)), norm=1.0).coefficients(50)
        assert not c[1::2].any()
        assert c[::2].all()

    def test_of_the_identity_is_linear(self):
        deq = nsd.DEQ("identity", sigma_a2=0.3, sigma_b2=0.7)
        c = sphere(deq).coefficients(5)
        assert_close(c, [0.0, 1.0, 0.0, 0.0, 0.0], ROUNDING)
        assert_close(sphere(deq)(COSINES), COSINES, ROUNDING)
        assert_close(sphere(deq, "ntk").derivative(COSINES), np.full(len(COSINES), 1.0 + 1.0 / 0.7), ROUNDING)

    def test_of_fewer_terms_is_the_beginning_of_more(self):
        f = only(nsd.DEQ("relu", center=False, sigma_c2=0.3))
        for count in (1, 2, 30):
            assert_close(f.coefficients(count), f.coefficients(60)[:count], ROUNDING)

    def test_of_samples_that_are_all_but_centred(self):
        """A mean m of 1e-6 leaves c_0 = m^2 / (1 - sigma_a2 a_1^2 / q), and m^4: it must not drown in rounding."""
        deq, norm = nsd.DEQ("silu", sigma_a2=0.4, sigma_b2=0.6), 1.0 + 1e-5
        q = float(sample_variances(deq, np.array([norm**2]))[0])
        m = moments(rest_point(deq).activation, math.sqrt(q))
        want = m.mean**2 / (1.0 - deq.sigma_a2 * m.slope**2)
        assert 1e-13 < want < 1e-10
        assert_close(only(deq, "readout", norm).coefficients(3)[0], want, SMALL_MEAN)

    @pytest.mark.parametrize(
        ("name", "sigma_a2", "center"),
        [("relu", 0.2, True), ("relu", 0.6, False), ("tanh", 0.6, True), ("silu", 0.3, True)],
    )
    def test_by_plain_iteration_in_forty_digits(self, name, sigma_a2, center):
        """t <- (sigma_a2 sum_k a_k^2 t^k + sigma_b2 rho) / q on truncated series, a_k by quadrature."""
        count, deq = 16, nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=1.0 - sigma_a2, center=center)
        got, top = only(deq, "readout").coefficients(count), nsd.kernels.diagonals(deq, np.array([[1.0]]))[0][0]
        with mp.workdps(DIGITS):
            want = iterated(name, mp.mpf(sigma_a2), mp.mpf(1.0 - sigma_a2), center, count, terms=3 * count)
        bound = COEFFICIENTS * want + HERMITE_COEFFICIENT * np.sqrt(want * top)
        assert_close(got[want > 0], want[want > 0], 1.0, scale=bound[want > 0])
        assert_close(got, want, KERNEL, scale=top)


MP_FUNCTIONS = {"relu": lambda x: max(x, mp.mpf(0)), "tanh": mp.tanh, "silu": lambda x: x / (1 + mp.exp(-x))}


def iterated(name, a2, b2, center, count, terms):
    """Return the coefficients of the CK of a DEQ for samples of norm 1, in doubles."""
    phi, nodes, weights = MP_FUNCTIONS[name], *half_line()

    def mean_and_square(q):
        both = [(phi(mp.sqrt(q) * x), phi(-mp.sqrt(q) * x)) for x in nodes]
        mean = sum(w * (u + v) for w, (u, v) in zip(weights, both, strict=True))
        return mean, sum(w * (u * u + v * v) for w, (u, v) in zip(weights, both, strict=True))

    def defect(q):
        mean, square = mean_and_square(q)
        return a2 * (square - (mean**2 if center else 0)) + b2 - q

    q = mp.findroot(defect, (b2 + a2 / 4, b2 + a2 / 3), solver="secant", tol=mp.mpf(10) ** -60)
    a = hermite_coefficients(lambda x: phi(mp.sqrt(q) * x), nodes, weights, terms)
    if center:
        a[0] = mp.mpf(0)
    squares = [x * x if abs(x) > mp.mpf(10) ** -30 else mp.mpf(0) for x in a]
    outer = np.array(squares, dtype=object)
    curved, room = outer.copy(), 1 - a2 / q * outer[1]
    curved[1] = mp.mpf(0)
    t = np.array([mp.mpf(0)] * count, dtype=object)
    for _ in range(count if center else 60):
        t = a2 / q / room * composed(curved, t)
        t[1] += b2 / q / room
    return np.array([float(c) for c in composed(outer, t)])


def half_line():
    """Gauss-Legendre nodes and Gaussian weights on (0, 14)."""
    x, w = naive.rule(24, mp.mpf)
    places = [(piece + (y + 1) / 2, v / 2) for piece in range(14) for y, v in zip(x, w, strict=True)]
    return [p for p, _ in places], [v * mp.npdf(p) for p, v in places]


def hermite_coefficients(f, nodes, weights, count):
    out = [mp.mpf(0)] * count
    for x, w in zip(nodes, weights, strict=True):
        right, left = w * f(x), w * f(-x)
        before, here = mp.mpf(0), mp.mpf(1)
        for k in range(count):
            out[k] += here * (right + (-1) ** k * left)
            before, here = here, (x * here - mp.sqrt(k) * before) / mp.sqrt(k + 1)
    return out


def composed(outer, inner):
    """Return outer(inner) by Horner's rule on truncated series."""
    out = np.array([mp.mpf(0)] * len(inner), dtype=object)
    for coefficient in outer[::-1]:
        out = np.convolve(out, inner)[: len(inner)]
        out[0] += coefficient
    return out


class TestSeries:
    def test_progeny_of_poisson_offspring_is_borel_distributed(self):
        """y = rho exp(rate (y - 1)) has the coefficients exp(-rate n) (rate n)^(n-1) / n!."""
        rate, n = 0.7, np.arange(1, 60)
        offspring = np.array([math.exp(-rate) * rate**k / math.factorial(k) for k in range(60)])
        want = np.exp(-rate * n + (n - 1) * np.log(rate * n) - np.array([math.lgamma(k + 1) for k in n]))
        identity = np.eye(60)[1]
        found = series.of_progeny(identity, offspring)
        assert_close(found[1:], want, COEFFICIENTS, scale=want)
        of_children = series.of_progeny(offspring, offspring)[:-1]  # y / rho
        assert_close(of_children, want, COEFFICIENTS, scale=want)

    @pytest.mark.parametrize("base", [0.0, 0.3, 0.9])
    def test_recentred_series_are_the_same_function(self, base):
        """1 / (2 - u) about another place is a geometric series again."""
        count = 40
        terms = series.terms(base, count)
        found = series.recentre(0.5 ** np.arange(1, terms + 1), base, count)
        want = (1.0 - base) ** np.arange(count) / (2.0 - base) ** np.arange(1, count + 1)
        assert_close(found, want, COEFFICIENTS, scale=want)

    def test_reciprocal_of_a_geometric_series(self):
        assert_close(series.reciprocal(2.0, np.array([0.5, 0.0, 0.0])), 2.0 * 0.5 ** np.arange(4), EXACT)

    def test_places_that_would_need_too_many_terms_are_refused(self):
        with pytest.raises(nsd.errors.ConvergenceError, match="centre the activations"):
            series.terms(1.0 - 1e-6, 100)


class TestTable:
    @staticmethod
    def places():
        gaps = np.concatenate([np.geomspace(1e-15, 1.0, 200), np.linspace(0.0, 1.0, 101)])
        return np.concatenate([1.0 - gaps, gaps - 1.0])

    def test_of_a_function_with_branch_points_at_both_ends(self):
        rho = self.places()
        table = GradedTable.tabulate(np.arccos)
        assert_close(table(rho), np.arccos(rho), ROUNDING)

    def test_of_a_function_that_is_infinite_at_both_ends(self):
        rho = self.places()
        table = GradedTable.tabulate(lambda u: 1.0 / np.sqrt((1.0 - u) * (1.0 + u)), (1, 1))
        with np.errstate(divide="ignore"):
            want = 1.0 / np.sqrt((1.0 - rho) * (1.0 + rho))
        assert_close(table(rho), want, ROUNDING, scale=np.where(np.isinf(want), 1.0, want))

    def test_integrals_keep_their_digits_towards_the_ends(self):
        """arcsin(rho) from the derivative above; 1 - |rho| from 1."""
        gaps = np.geomspace(1e-24, 1.0, 100)
        negative = np.arange(100) % 2 == 1
        of_arcsine = GradedTable.tabulate(lambda u: 1.0 / np.sqrt((1.0 - u) * (1.0 + u)), (1, 1)).integral()
        want = 2.0 * np.arcsin(np.sqrt(0.5 * gaps))
        assert_close(of_arcsine.at(negative, gaps), want, ROUNDING, scale=want)
        assert_close(GradedTable.tabulate(np.ones_like).integral().at(negative, gaps), gaps, ROUNDING, scale=gaps)

    def test_what_no_table_resolves_is_refused(self):
        with pytest.raises(nsd.errors.ConvergenceError, match="did not converge"):
            GradedTable.tabulate(lambda u: np.sin(1e4 * u))


class TestInput:
    F = staticmethod(cache(lambda: sphere(nsd.DEQ("tanh"))))

    @pytest.mark.parametrize("method", ["__call__", "derivative"])
    def test_numbers_arrays_and_tensors(self, method):
        f = getattr(self.F(), method)
        rho = np.array([[0.5, -0.25, 1.0], [0.0, -1.0, 0.75]])
        values = f(rho)
        assert values.shape == (2, 3)
        assert type(f(0.5)) is float
        assert f(0.5) == values[0, 0]
        assert type(f(np.float64(0.5))) is float
        assert f(np.array(0.5)).shape == ()
        np.testing.assert_array_equal(f(rho.tolist()), values)
        np.testing.assert_array_equal(f(rho.T), values.T)
        np.testing.assert_array_equal(f(rho.astype(np.float32)), values)
        np.testing.assert_array_equal(f(rho[:, ::-1]), values[:, ::-1])
        assert f(np.array([1, 0, -1])).dtype == np.float64
        assert f(np.empty((0, 4))).shape == (0, 4)
        for dtype in (torch.float64, torch.float32):
            tensor = f(torch.tensor(rho, dtype=dtype, requires_grad=True))
            assert isinstance(tensor, torch.Tensor)
            assert tensor.dtype == torch.float64
            np.testing.assert_array_equal(tensor.numpy(), values)
        assert f(torch.tensor(0.5)).shape == ()
        frozen = rho.copy()
        frozen.flags.writeable = False
        np.testing.assert_array_equal(f(frozen), values)

    def test_many_cosines_are_those_one_by_one(self):
        rho = np.random.default_rng(0).uniform(-1.0, 1.0, 40_000)
        some = [0, 16_383, 16_384, 39_999]
        np.testing.assert_array_equal(self.F()(rho)[some], [self.F()(float(r)) for r in rho[some]])

    def test_rounding_beyond_one_is_one(self):
        f = self.F()
        over = 1.0 + 8.0 * np.finfo(float).eps
        assert f(over) == f(1.0)
        assert f(-over) == f(-1.0)

    @pytest.mark.parametrize(
        ("rho", "said"),
        [
            (1.1, "got 1.1"),
            ([0.0, -1.5], "got -1.5"),
            (np.nan, "got 1 NaN"),
            ([np.nan, 0.3, 2.0, np.nan], "got 2 NaN"),
            (torch.tensor([0.0, np.inf]), "got inf"),
            ("half", "real numbers"),
            (0.5j, "real numbers"),
            (None, "real numbers"),
        ],
    )
    def test_what_is_no_cosine_is_refused(self, rho, said):
        with pytest.raises(ValueError, match=f"rho must be .*{said}"):
            self.F()(rho)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"kernel": "ckk"}, "kernel must be one of 'ck', 'ntk', got 'ckk'"),
            ({"norm": 0.0}, "norm must be a finite number > 0"),
            ({"norm": -1.0}, "norm must be a finite number > 0"),
            ({"norm": np.nan}, "norm must be a finite number > 0"),
            ({"norm": "long"}, "norm must be a number"),
            ({"kernel": "ntk", "trainable": "inner"}, "trainable must be"),
            ({"trainable": "bias"}, "trainable must be .* has no bias"),
            ({"spec": explicit(("relu",))}, "norm must be given for an MLP"),
            ({"spec": nsd.Parallel(explicit(("relu",)))}, "norm must be given for a Parallel"),
            ({"spec": "relu"}, "spec must be a DEQ, an MLP or a Parallel"),
            ({"spec": nsd.DEQ("relu", sigma_a2=3.0)}, "no stable kernel fixed point"),
            ({"spec": nsd.DEQ("hermite:coefficients=0/0")}, "is 0 at scale"),
            ({"spec": explicit((step(), 1.0)), "norm": 1.0, "kernel": "ntk"}, "NTK is infinite .* layer 1"),
        ],
    )
    def test_wrong_arguments_are_named(self, arguments, said):
        with pytest.raises(ValueError, match=said):
            sphere(**{"spec": nsd.DEQ("relu"), **arguments})

    @pytest.mark.parametrize("count", [0, -3, 2.0, True, 4096])
    def test_wrong_counts_are_named(self, count):
        with pytest.raises(ValueError, match="count must be an integer"):
            self.F().coefficients(count)

    def test_copies_and_pickles_are_the_same_kernel(self):
        f = sphere(nsd.DEQ("leaky_relu"), "ntk", ("recurrent", "readout"), norm=0.9)
        f.derivative(0.5)
        for again in (copy.deepcopy(f), pickle.loads(pickle.dumps(f))):  # noqa: S301
            assert again == f
            assert again.norm == 0.9
            assert (again(0.3), again.derivative(0.3)) == (f(0.3), f.derivative(0.3))
