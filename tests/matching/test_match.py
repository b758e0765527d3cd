"""The public function: arguments, the choice of a family, statuses, and residuals computed anew by other routes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching import FAMILIES, least_squares
from notsodeep.matching import match as public
from notsodeep.matching.target import Target
from tests.matching.helpers import naive_achieved, naive_target, read_off
from tests.tolerances import COEFFICIENTS, DIFFERENCES, MISS, ROUNDING, assert_close

CASES = [
    ("relu", "ck", "all"),
    ("relu", "ntk", "all"),
    ("relu", "ntk", ("recurrent", "readout")),
    ("tanh", "ck", "all"),
    ("tanh", "ntk", "all"),
    ("tanh", "ntk", ("recurrent", "readout")),
    ("leaky_relu", "ck", "all"),
    ("softsign", "ck", "all"),
    ("sigmoid", "ntk", "all"),
    ("abs", "ck", "all"),
]


def weights(trainable):
    return ("recurrent", "input", "readout") if trainable == "all" else trainable


@pytest.mark.parametrize(("name", "kernel", "trainable"), CASES)
@pytest.mark.parametrize("tau0", [0.3, 1.0, 3.0])
def test_networks_have_the_numbers_of_the_deq(name, kernel, trainable, tau0):
    """Both sides by quadrature, from the values of the activations alone."""
    deq = nsd.DEQ(name, tau0=tau0)
    found = nsd.match(deq, kernel, trainable=trainable)
    assert found.status == "matched"
    assert found.residual <= COEFFICIENTS
    target, achieved = naive_target(deq, kernel, weights(trainable)), naive_achieved(found.spec, kernel, tau0)
    units = np.array([tau0**2, tau0**4, tau0**4, 1.0])
    assert_close(
        achieved * units, target * units, COEFFICIENTS, scale=np.maximum(np.abs(target * units), 1e-3 * target[3])
    )


@pytest.mark.parametrize(("name", "kernel", "trainable"), CASES)
@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
def test_the_exact_kernels_agree_to_second_order(name, kernel, trainable):
    """Finite differences of both exact kernels around orthogonal samples give the same four numbers."""
    deq = nsd.DEQ(name)
    found = nsd.match(deq, kernel, trainable=trainable)
    function = nsd.ck if kernel == "ck" else nsd.ntk
    target = read_off(partial(function, deq, **({} if kernel == "ck" else {"trainable": trainable})), 1.0)
    assert_close(read_off(partial(function, found.spec), 1.0), target, DIFFERENCES)
    assert_close(target, found.target.numbers, DIFFERENCES)


@pytest.mark.parametrize("name", ["silu", "elu", "cos"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_the_residual_is_the_largest_relative_miss(name, kernel):
    deq = nsd.DEQ(name)
    found = nsd.match(deq, kernel, on_failure="return")
    target, achieved = naive_target(deq, kernel), naive_achieved(found.spec, kernel, 1.0)
    size = np.where(np.abs(target) < 1e-9, target[3], np.abs(target))
    assert_close(found.residual, np.abs((achieved - target) / size).max(), MISS)


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "softsign", "hardtanh", "identity", "sigmoid"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_odd_targets_go_to_one_hard_tanh_layer(name, kernel):
    """A sigmoid is odd once it is centred."""
    found = nsd.match(nsd.DEQ(name), kernel)
    assert (found.status, found.family, found.spec.depth) == ("matched", "hard_tanh", 1)
    assert found.reason == "hard_tanh: the target is odd"


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "silu", "gelu", "elu", "softplus", "abs", "cos"])
def test_other_targets_go_to_two_leaky_relu_layers(name):
    found = nsd.match(nsd.DEQ(name))
    assert (found.family, found.spec.depth) == ("leaky_relu", 2)
    assert found.reason.startswith("leaky_relu: the target is ")


def test_auto_turns_to_leaky_relu_where_hard_tanh_ends():
    """sin at a large scale exceeds pi/2; neither family has it, and the closer one is returned."""
    deq = nsd.DEQ("sin", tau0=3.0)
    found = nsd.match(deq)
    residuals = {name: nsd.match(deq, family=name).residual for name in FAMILIES}
    assert found.status == "infeasible"
    assert found.family == min(residuals, key=residuals.get)
    assert found.residual == min(residuals.values())


def test_one_layer_at_most_leaves_hard_tanh():
    found = nsd.match(nsd.DEQ("relu"), max_depth=1)
    assert (found.family, found.spec.depth, found.status) == ("hard_tanh", 1, "infeasible")
    assert found.reason.startswith(
        "hard_tanh: the target is neither odd nor even; hard_tanh: the target has norm and product terms"
    )
    assert nsd.match(nsd.DEQ("tanh"), max_depth=1).status == "matched"


def test_a_family_asked_for_is_taken():
    found = nsd.match(nsd.DEQ("tanh"), family="leaky_relu", on_failure="return")
    assert found.family == "leaky_relu"
    assert found.reason.startswith("leaky_relu: as asked")
    assert nsd.match(nsd.DEQ("tanh"), family="hard_tanh").reason == "hard_tanh: as asked"


def test_the_record_says_what_was_asked():
    deq = nsd.DEQ("relu", sigma_a2=0.3)
    found = nsd.match(deq, "ntk", trainable=("recurrent", "readout"))
    assert (found.deq, found.kernel, found.trainable) == (deq, "ntk", {"recurrent", "readout"})
    assert found.target == nsd.coefficients(deq, "ntk", trainable=("recurrent", "readout"))
    assert found.achieved == nsd.coefficients(found.spec, "ntk", tau0=1.0)
    with pytest.raises(AttributeError):
        found.status = "infeasible"


def test_the_same_deq_gives_the_same_network():
    for deq, kernel in ((nsd.DEQ("relu"), "ntk"), (nsd.DEQ("silu"), "ck")):
        assert nsd.match(deq, kernel) == nsd.match(deq, kernel)


@pytest.fixture
def hurried(monkeypatch):
    """Give each start of the search so few steps that none settles."""
    monkeypatch.setattr(least_squares, "_EVALUATIONS", 2)


@pytest.mark.usefixtures("hurried")
def test_a_search_that_does_not_settle_raises_with_the_remedy():
    with pytest.raises(nsd.ConvergenceError, match=r"family leaky_relu stopped .* try another family, or on_failure"):
        nsd.match(nsd.DEQ("silu"))


@pytest.mark.usefixtures("hurried")
def test_a_search_that_does_not_settle_can_be_returned():
    found = nsd.match(nsd.DEQ("silu"), on_failure="return")
    assert found.status == "not_converged"
    assert found.residual > 1e-3
    assert found.spec.depth == 2


@pytest.mark.usefixtures("hurried")
def test_an_infeasible_answer_does_not_raise():
    """Hard tanh does not search."""
    assert nsd.match(nsd.DEQ("relu"), family="hard_tanh").status == "infeasible"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deq": "relu"}, "deq must be a DEQ, got 'relu'"),
        ({"deq": nsd.MLP((nsd.Layer("tanh"),))}, "deq must be a DEQ"),
        ({"kernel": "both"}, "kernel must be one of 'ck', 'ntk', got 'both'"),
        ({"kernel": None}, "kernel must be one of"),
        ({"family": "hermite"}, "family must be one of 'auto', 'hard_tanh', 'leaky_relu', got 'hermite'"),
        ({"max_depth": 0}, "max_depth must be an integer >= 1, got 0"),
        ({"max_depth": 1.5}, "max_depth must be an integer >= 1, got 1.5"),
        ({"max_depth": True}, "max_depth must be an integer >= 1, got True"),
        ({"max_depth": 1, "family": "leaky_relu"}, "max_depth must be at least 2 for the family leaky_relu, got 1"),
        ({"trainable": "layer1"}, "trainable must be"),
        ({"trainable": ()}, "trainable must be"),
        ({"on_failure": "ignore"}, "on_failure must be one of 'raise', 'return', got 'ignore'"),
        ({"deq": nsd.DEQ("relu", center=False)}, "centred activations"),
        ({"deq": nsd.DEQ("relu", sigma_a2=3.0)}, "no stable kernel fixed point"),
        ({"deq": nsd.DEQ("relu", sigma_c2=0.1)}, "need a model without bias, got sigma_c2 = 0.1"),
        ({"deq": nsd.DEQ("relu", sigma_c2=0.1), "kernel": "ntk", "trainable": "bias"}, "without bias, got sigma_c2"),
        ({"kernel": "ntk", "trainable": "bias"}, "got 'bias': this DEQ has no bias, its sigma_c2 is 0"),
        ({"deq": nsd.DEQ("relu", sigma_a2=0.0), "kernel": "ntk", "trainable": "recurrent"}, "nothing to match"),
    ],
)
def test_illegal_arguments_are_refused(change, message):
    given = {"deq": nsd.DEQ("relu"), "kernel": "ck"} | change
    with pytest.raises(ValueError, match=message):
        nsd.match(**given)


def test_the_public_function_is_the_one_of_the_package():
    assert nsd.match is public


def test_misses_of_numbers_that_should_be_zero_are_relative_to_the_diagonal():
    target = Target("ck", 2.0, (0.5, 0.0, 0.25, 4.0))
    assert_close(target.residuals((0.6, 0.1, 0.25, 5.0)), [0.2, 0.1 * 16 / 4.0, 0.0, 0.25], ROUNDING)


def test_odd_even_and_spread_do_not_depend_on_the_unit_of_the_data():
    for tau0 in (1e-3, 1.0, 1e3):
        odd = Target("ck", tau0, (0.5, 0.0, 0.0, 0.6 * tau0**2))
        bent = Target("ck", tau0, (0.5, 0.1 / tau0**2, 0.1 / tau0**2, 0.6 * tau0**2))
        even = Target("ck", tau0, (0.0, 0.1 / tau0**2, 0.1 / tau0**2, 0.6 * tau0**2))
        assert [t.is_odd for t in (odd, bent, even)] == [True, False, False]
        assert [t.is_even for t in (odd, bent, even)] == [False, False, True]
        assert_close(odd.spread, 1.2, ROUNDING)
