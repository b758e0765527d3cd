"""The four equations against 30-digit values, and against derivatives of the exact kernels, which know none of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.polynomial import chebyshev

import notsodeep as nsd
from notsodeep.activations import moments
from notsodeep.kernels.scalar import rest_point
from tests.tolerances import COEFFICIENTS, DERIVED, SYMMETRY_FLOOR, VANISHED, assert_close

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "coefficients.json").read_text())
SETS = {"ntk_recurrent_readout": ("recurrent", "readout"), "ntk_all": "all"}
HALF_WIDTH, NODES = 0.1, 15


def named(name):
    return nsd.activation("leaky_relu", slope=0.01) if name == "leaky_relu_0.01" else nsd.activation(name)


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"{row['activation']} {row['sigma_a2']}")
class TestReference:
    @staticmethod
    def deq(row):
        return nsd.DEQ(named(row["activation"]), *(float(row[k]) for k in ("sigma_a2", "sigma_b2", "tau0")))

    def test_conjugate_kernel(self, row):
        got = nsd.coefficients(self.deq(row), "ck")
        for name, value in row["ck"].items():
            assert_close(
                getattr(got, name), float(value), COEFFICIENTS, scale=max(float(value), SYMMETRY_FLOOR), what=name
            )
        assert_close(got.tau_star, float(row["tau_star"]), COEFFICIENTS)

    @pytest.mark.parametrize("trained", SETS)
    def test_tangent_kernel(self, row, trained):
        got = nsd.coefficients(self.deq(row), "ntk", trainable=SETS[trained])
        for name, value in row[trained].items():
            assert_close(
                getattr(got, name), float(value), COEFFICIENTS, scale=max(float(value), SYMMETRY_FLOOR), what=name
            )
        assert_close(got.tau_star, float(row["tau_star"]), COEFFICIENTS)


def derived(spec, kernel, trainable, tau0):
    """Return the coefficients as derivatives of the exact kernel of two samples.

    The kernel is a function of g = x . y and of the excess of |x|^2 and of |y|^2 over tau0^2: the first and half the
    second derivative in g, the mixed derivative in the excesses, the diagonal, and its derivative in the norm.
    """
    t = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES) * HALF_WIDTH * tau0**2
    one = np.array([[tau0, 0.0]])
    along = t / tau0
    turned = np.stack([along, np.sqrt(tau0**2 - along**2)], axis=1)
    norms = np.sqrt(tau0**2 + t)[:, None]
    exact = (lambda X, Y: nsd.ck(spec, X, Y)) if kernel == "ck" else (lambda X, Y: nsd.ntk(spec, X, Y, trainable))
    in_product = exact(one, turned)[0]
    in_norms = exact(norms * [1.0, 0.0], norms * [0.0, 1.0])
    diagonal = nsd.kernels.diagonals(spec, norms * [1.0, 0.0], trainable)[("ck", "ntk").index(kernel)]
    mixed = [_derivatives(t, row)[1] for row in in_norms]
    value, slope, _ = _derivatives(t, diagonal)
    _, first, second = _derivatives(t, in_product)
    return {"x": first, "norms": _derivatives(t, np.array(mixed))[1], "T": second / 2, "diagonal": value, "rise": slope}


def _derivatives(t, values):
    """Return value, first and second derivative at 0 of the polynomial through the values."""
    scale = np.abs(t).max() / math.cos(math.pi / (2 * NODES))
    series = chebyshev.chebfit(t / scale, values, NODES - 1)
    return [float(chebyshev.chebval(0.0, chebyshev.chebder(series, k) if k else series)) / scale**k for k in range(3)]


def check(spec, kernel, trainable, **given):
    tau0 = given.get("tau0") or spec.tau0
    want = derived(spec, kernel, trainable, tau0)
    got = nsd.coefficients(spec, kernel, trainable=trainable, **given)
    # as parts of the kernel of samples of norm tau0: what the equivalent is made of
    parts = dict(zip(("x", "norms", "T", "diagonal"), got.numbers, strict=True))
    powers = {"x": 2, "norms": 4, "T": 4, "diagonal": 0}
    for name, value in parts.items():
        unit = abs(want["diagonal"]) / tau0 ** powers[name]
        assert_close(value, want[name], DERIVED, scale=unit, what=f"{kernel} {trainable}: {name}")
    return got, want


DEQS = [
    nsd.DEQ("relu", sigma_a2=0.2, sigma_b2=0.8),
    nsd.DEQ("silu", sigma_a2=0.6, sigma_b2=0.9, tau0=1.3),
    nsd.DEQ("cos", sigma_a2=0.7, sigma_b2=0.5, tau0=0.8),
    nsd.DEQ("elu", sigma_a2=0.4, sigma_b2=0.3),
    nsd.DEQ("tanh", sigma_a2=0.9, sigma_b2=0.4),
    nsd.DEQ("softplus", sigma_a2=0.0, sigma_b2=1.5),
]
DEQ_SETS = ["all", ("recurrent", "readout"), "recurrent", "input", "readout", ("input", "readout")]


@pytest.mark.parametrize("deq", DEQS, ids=lambda deq: f"{deq.activation!r} {deq.sigma_a2}")
class TestDerivativesOfTheImplicitKernel:
    def test_conjugate_kernel(self, deq):
        got, want = check(deq, "ck", "all")
        assert_close(got.alpha4, deq.sigma_a2 * want["rise"] + deq.sigma_b2, DERIVED)

    @pytest.mark.parametrize("trainable", DEQ_SETS, ids=str)
    def test_tangent_kernel(self, deq, trainable):
        if deq.sigma_a2 == 0.0 and trainable == "recurrent":
            got = nsd.coefficients(deq, "ntk", trainable=trainable)
            assert got.numbers == (0.0, 0.0, 0.0, 0.0)
        else:
            check(deq, "ntk", trainable)


def explicit(tau0, *layers):
    """Return an MLP of (name, weight_var, learning_rate), every activation centred at the scale that reaches it."""
    built, scale = [], tau0
    for name, weight_var, rate in layers:
        phi, entering = nsd.activation(name), math.sqrt(weight_var) * scale
        phi = phi.shifted(-float(moments(phi, entering).mean))
        built.append(nsd.Layer(phi, weight_var, rate))
        scale = math.sqrt(float(moments(phi, entering).square))
    return nsd.MLP(built)


MLPS = {
    "one": (1.0, (("relu", 1.0, 1.0),)),
    "one scaled": (1.2, (("silu", 1.7, 0.4),)),
    "two": (0.9, (("relu", 2.0, 0.3), ("elu", 0.7, 1.8))),
    "three": (1.0, (("gelu", 1.3, 1.0), ("cos", 0.8, 2.0), ("relu", 3.0, 0.5))),
    "frozen by rate": (1.0, (("softplus", 2.0, 0.0), ("tanh", 1.5, 1.0))),
}


@pytest.mark.parametrize("case", MLPS)
class TestDerivativesOfTheExplicitKernel:
    def test_conjugate_kernel(self, case):
        tau0, layers = MLPS[case]
        got, want = check(explicit(tau0, *layers), "ck", "all", tau0=tau0)
        assert_close(got.alpha4, want["rise"], DERIVED)

    def test_tangent_kernel(self, case):
        tau0, layers = MLPS[case]
        mlp = explicit(tau0, *layers)
        for trainable in ("all", "readout", f"layer{mlp.depth}", ("layer1", "readout")):
            check(mlp, "ntk", trainable, tau0=tau0)

    def test_scale_is_that_of_the_last_pre_activation(self, case):
        tau0, layers = MLPS[case]
        mlp = explicit(tau0, *layers)
        got = nsd.coefficients(mlp, "ck", tau0=tau0)
        last = mlp.layers[-1].activation
        assert_close(moments(last, got.tau_star).square, got.gamma2, COEFFICIENTS)


class TestDerivativesOfTheParallelKernel:
    SPEC = nsd.Parallel([explicit(0.9, *layers) for layers in ((("silu", 1.7, 0.4),), MLPS["two"][1])])

    def test_conjugate_kernel(self):
        got, want = check(self.SPEC, "ck", "all", tau0=0.9)
        assert_close(got.alpha4, want["rise"], DERIVED)

    @pytest.mark.parametrize("trainable", ["all", "readout", "branch2.layer1", ("branch1.layer1", "branch2.layer2")])
    def test_tangent_kernel(self, trainable):
        check(self.SPEC, "ntk", trainable, tau0=0.9)

    @pytest.mark.parametrize("kernel", ["ck", "ntk"])
    def test_there_is_no_one_scale_of_several_branches(self, kernel):
        assert math.isnan(nsd.coefficients(self.SPEC, kernel, tau0=0.9).tau_star)

    @pytest.mark.parametrize("kernel", ["ck", "ntk"])
    def test_a_single_branch_is_an_mlp(self, kernel):
        for mlp in self.SPEC.branches:
            alone = nsd.coefficients(nsd.Parallel((mlp,)), kernel, tau0=0.9)
            assert alone == nsd.coefficients(mlp, kernel, tau0=0.9)


def test_contributions_of_the_weights_add_up():
    cases = [(DEQS[1], {}), (explicit(*[1.0, *MLPS["three"][1]]), {"tau0": 1.0})]
    for spec, given in (*cases, (TestDerivativesOfTheParallelKernel.SPEC, {"tau0": 0.9})):
        names = nsd.spec.weight_names(spec)
        alone = [nsd.coefficients(spec, "ntk", trainable=name, **given).numbers for name in names]
        assert_close(np.sum(alone, axis=0), nsd.coefficients(spec, "ntk", **given).numbers, COEFFICIENTS)


def test_an_odd_function_needs_two_numbers_only():
    got = nsd.coefficients(nsd.DEQ("tanh"), "ck")
    assert got.alpha2 == pytest.approx(0.0, abs=VANISHED)
    assert got.alpha3 == pytest.approx(0.0, abs=VANISHED)


def test_an_even_function_sees_no_gram_matrix():
    """At first order: E[phi'] = 0, so that only the fluctuations of the norms and the covariances are left."""
    got = nsd.coefficients(nsd.DEQ("abs"), "ck")
    assert got.alpha1 == pytest.approx(0.0, abs=VANISHED)
    assert got.alpha3 > 0.01


def test_the_scale_comes_from_the_fixed_point():
    deq = nsd.DEQ("silu", tau0=1.3)
    assert nsd.coefficients(deq, "ntk").tau_star == rest_point(deq).tau_star


class TestErrors:
    MLP = nsd.MLP(nsd.Layer("tanh"))

    def test_a_deq_has_its_own_tau0(self):
        with pytest.raises(ValueError, match=r"tau0 belongs to the DEQ spec \(1\)"):
            nsd.coefficients(nsd.DEQ("relu"), tau0=1.0)

    def test_an_mlp_needs_tau0(self):
        with pytest.raises(ValueError, match="tau0 is needed for an MLP"):
            nsd.coefficients(self.MLP)
        with pytest.raises(ValueError, match="tau0 is needed for a Parallel"):
            nsd.coefficients(nsd.Parallel(self.MLP))

    @pytest.mark.parametrize("tau0", [0.0, -1.0, math.nan, math.inf, "one"])
    def test_tau0_is_a_positive_number(self, tau0):
        with pytest.raises(ValueError, match="tau0 must be"):
            nsd.coefficients(self.MLP, tau0=tau0)

    @pytest.mark.parametrize("kernel", ["CK", "nngp", None, 1])
    def test_unknown_kernel(self, kernel):
        with pytest.raises(ValueError, match="kernel must be one of 'ck', 'ntk'"):
            nsd.coefficients(nsd.DEQ("relu"), kernel)

    @pytest.mark.parametrize("trainable", ["layer1", ("recurrent", "bias"), (), 3])
    def test_unknown_weights(self, trainable):
        with pytest.raises(ValueError, match="trainable must be"):
            nsd.coefficients(nsd.DEQ("relu"), "ntk", trainable=trainable)

    @pytest.mark.parametrize("spec", ["relu", None, nsd.Layer("relu")])
    def test_not_a_spec(self, spec):
        with pytest.raises(ValueError, match="spec must be"):
            nsd.coefficients(spec)

    @pytest.mark.parametrize("kernel", ["ck", "ntk"])
    def test_a_bias_of_a_deq_is_refused_before_any_work(self, kernel):
        """Neither the missing fixed point nor the activation that is not centred is looked at."""
        for given in ({}, {"sigma_a2": 5.0}, {"center": False}):
            with pytest.raises(ValueError, match=r"without bias, got sigma_c2 = 0\.1: .* stay correlated.*sigma_c2=0"):
                nsd.coefficients(nsd.DEQ("relu", sigma_c2=0.1, **given), kernel)

    def test_the_layer_with_a_bias_is_named(self):
        mlp = nsd.MLP([nsd.Layer("tanh"), nsd.Layer("relu", bias_var=0.3), nsd.Layer("relu", bias_var=0.4)])
        for tau0 in (1.0, None):
            with pytest.raises(ValueError, match=r"got bias_var of layer 2 = 0\.3: .* stay correlated.*set bias_var=0"):
                nsd.coefficients(mlp, tau0=tau0)

    def test_the_branch_with_a_bias_or_a_mean_is_named(self):
        biased = nsd.MLP([nsd.Layer("tanh"), nsd.Layer("tanh", bias_var=0.3)])
        with pytest.raises(ValueError, match=r"got bias_var of layer 2 of branch 2 = 0\.3: "):
            nsd.coefficients(nsd.Parallel((self.MLP, biased)), tau0=1.0)
        with pytest.raises(ValueError, match=r"layer 1 of branch 2, relu.*use activation.shifted\(-0\."):
            nsd.coefficients(nsd.Parallel((self.MLP, nsd.MLP(nsd.Layer("relu")))), tau0=1.0)

    def test_a_bias_that_is_not_there_cannot_be_trained(self):
        with pytest.raises(ValueError, match="'bias': this DEQ has no bias, its sigma_c2 is 0"):
            nsd.coefficients(nsd.DEQ("relu"), "ntk", trainable=("readout", "bias"))

    def test_equivalents_pass_the_message_on(self):
        mixture = nsd.GaussianMixture.paper(20)
        X, y = mixture.sample(30, seed=0)
        stats = nsd.Statistics.from_mixture(mixture, X, y)
        deq = nsd.DEQ("relu", tau0=math.sqrt((X**2).sum(axis=1).mean()), sigma_c2=0.1)
        with pytest.raises(ValueError, match=r"without bias, got sigma_c2 = 0\.1"):
            nsd.equivalent(deq, X, stats)
        with pytest.raises(ValueError, match=r"without bias, got bias_var of layer 1 = 0\.1"):
            nsd.equivalent(nsd.MLP(nsd.Layer("tanh", bias_var=0.1)), X, stats)

    def test_uncentred_deq(self):
        with pytest.raises(ValueError, match=r"need centred activations.*set center=True.*norm-aware"):
            nsd.coefficients(nsd.DEQ("relu", center=False))

    def test_uncentred_layer_is_named_with_its_shift(self):
        mlp = nsd.MLP([nsd.Layer("tanh"), nsd.Layer("relu")])
        with pytest.raises(ValueError, match=r"layer 2, relu.*use activation.shifted\(-0\.") as raised:
            nsd.coefficients(mlp, tau0=1.0)
        shift = float(str(raised.value).rsplit("shifted(", 1)[1].split(")")[0])
        repaired = nsd.MLP([nsd.Layer("tanh"), nsd.Layer(nsd.activation("relu").shifted(shift))])
        assert nsd.coefficients(repaired, tau0=1.0).gamma2 > 0

    def test_no_fixed_point(self):
        with pytest.raises(ValueError, match="no stable kernel fixed point"):
            nsd.coefficients(nsd.DEQ("relu", sigma_a2=5.0))
