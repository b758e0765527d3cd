"""The public function: arguments, the choice of a family, statuses, and residuals computed anew by other routes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching import FAMILIES, search
from notsodeep.matching import match as public
from tests.matching.helpers import ALL, PAPERS, naive_misses, read_off
from tests.matching.test_target import ball
from tests.tolerances import COEFFICIENTS, DIFFERENCES, MISS, assert_close

CASES = [
    ("relu", "ck", "auto", ALL),
    ("relu", "ntk", "auto", ALL),
    ("relu", "ntk", "auto", PAPERS),
    ("tanh", "ck", "hard_tanh", ALL),
    ("tanh", "ntk", "hard_tanh", ALL),
    ("tanh", "ntk", "auto", PAPERS),
    ("silu", "ck", "soft_slopes", ALL),
    ("silu", "ntk", "soft_slopes", PAPERS),
    ("elu", "ck", "cubic", ALL),
    ("elu", "ntk", "cubic", PAPERS),
    ("softplus", "ck", "quartic", ALL),
    ("gelu", "ntk", "quadratic", ALL),
    ("abs", "ck", "leaky_relu", ALL),
    ("softsign", "ck", "three_slope", ALL),
    ("softplus", "ntk", "auto", ALL),
    ("relu", "ntk", "auto", ("recurrent",)),
    ("erf", "ntk", "auto", ("recurrent", "input")),
]


@pytest.mark.parametrize(("name", "kernel", "family", "trainable"), CASES)
@pytest.mark.parametrize("tau0", [0.3, 3.0])
def test_networks_have_the_numbers_of_the_deq(name, kernel, family, trainable, tau0):
    """Both sides by quadrature, from the values of the activations alone; else the residual tells the largest miss."""
    found = nsd.match(nsd.DEQ(name, tau0=tau0), kernel, family, trainable=trainable, on_failure="return")
    misses = np.abs(naive_misses(found, trainable))
    assert_close(misses.max(), found.residual, COEFFICIENTS + MISS * found.residual, scale=1.0)
    assert (found.status == "matched") == (found.residual <= COEFFICIENTS)
    if family == "auto":
        assert found.status == "matched"
    else:
        assert found.family == family


EXTREMES = [("relu", 0.8, 0.3), ("silu", 0.95, 0.3), ("elu", 0.95, 3.0), ("tanh", 0.95, 0.3), ("softplus", 0.8, 3.0)]


@pytest.mark.parametrize(("name", "sigma_a2", "tau0"), EXTREMES)
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_scales_and_variances_may_be_extreme(name, sigma_a2, tau0):
    found = nsd.match(nsd.DEQ(name, sigma_a2, 1.0 - sigma_a2, tau0))
    assert found.status == "matched"
    assert np.abs(naive_misses(found)).max() <= COEFFICIENTS


@pytest.mark.parametrize(("name", "kernel", "trainable"), [("relu", "ck", ALL), ("silu", "ntk", PAPERS)])
@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
def test_the_exact_kernels_agree_to_second_order(name, kernel, trainable):
    """Finite differences of both exact kernels around orthogonal samples give the same four numbers."""
    deq = nsd.DEQ(name)
    found = nsd.match(deq, kernel, trainable=trainable)
    function = nsd.ck if kernel == "ck" else nsd.ntk
    target = read_off(partial(function, deq, **({} if kernel == "ck" else {"trainable": trainable})), 1.0)
    assert_close(read_off(partial(function, found.spec), 1.0), target, DIFFERENCES)
    assert_close(target, found.target.numbers, DIFFERENCES)


@pytest.mark.parametrize("name", ["tanh", "softsign", "hardtanh", "identity", "sigmoid"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_odd_targets_need_one_layer(name, kernel):
    """A sigmoid is odd once it is centred."""
    found = nsd.match(nsd.DEQ(name), kernel)
    assert (found.status, found.spec.depth) == ("matched", 1)
    assert found.family in ("hard_tanh", "soft_slopes", "three_slope")
    assert "the target is odd" in found.reason


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "silu", "gelu", "elu", "softplus", "abs", "cos"])
def test_other_targets_need_two_layers_of_bounded_slopes(name):
    found = nsd.match(nsd.DEQ(name))
    assert (found.status, found.spec.depth) == ("matched", 2)
    assert FAMILIES[found.family].bounded
    assert "the target is " in found.reason
    if name in ("relu", "leaky_relu", "abs"):
        assert found.family == "leaky_relu"


def test_the_solution_taken_is_the_first_and_the_others_come_closest_first():
    found = nsd.match(nsd.DEQ("tanh", 0.5, 0.5), "ntk")
    assert len(found.solutions) > 1
    first, *others = found.solutions
    assert (first.spec, first.distance, first.family) == (found.spec, found.distance, found.family)
    assert [each.distance for each in others] == sorted(each.distance for each in others)
    assert all(each.matched and each.residual <= COEFFICIENTS for each in found.solutions)


def test_a_further_layer_has_to_bring_the_kernel_three_times_closer():
    found = nsd.match(nsd.DEQ("hardtanh", 0.8, 0.2), "ck")
    one, two = (min(each.distance for each in found.solutions if each.spec.depth == depth) for depth in (1, 2))
    assert found.spec.depth == (2 if two < one / 3.0 else 1)


@pytest.mark.parametrize(("name", "kernel"), [("relu", "ck"), ("silu", "ck"), ("tanh", "ntk")])
def test_freedom_goes_into_the_kernel(name, kernel):
    """Of layers with parameters to spare, the one taken is closer than matched ones with random parameters are."""
    deq = nsd.DEQ(name)
    found = nsd.match(deq, kernel, family="quartic")
    sparse = nsd.match(deq, kernel, family="cubic", on_failure="return")
    assert found.status == "matched"
    assert found.distance <= 1.05 * sparse.distance or sparse.status != "matched"


def test_two_layers_are_too_few_close_to_instability_and_three_do():
    """An ELU at a small scale has alpha2 / alpha3 = 0.35: hidden layers must saturate, and two share the loss."""
    deq = nsd.DEQ("elu", 0.9, 0.1, 0.3)
    two = nsd.match(deq, family="cubic", on_failure="return")
    assert two.status == "not_converged"
    assert two.residual > 1e-4
    assert "cubic x 2: searched in vain" in two.reason
    three = nsd.match(deq, family="cubic", max_depth=3)
    assert (three.status, three.spec.depth) == ("matched", 3)
    assert np.abs(naive_misses(three)).max() <= COEFFICIENTS


def test_one_layer_at_most_is_infeasible_for_a_ck_that_is_not_odd():
    found = nsd.match(nsd.DEQ("relu"), max_depth=1)
    assert (found.status, found.spec.depth) == ("infeasible", 1)
    assert "one layer has alpha2 / alpha3 = 1/2" in found.reason
    assert nsd.match(nsd.DEQ("tanh"), max_depth=1).status == "matched"


def test_one_layer_does_for_many_an_ntk():
    """It has beta3 / beta2 of its own, at a learning rate of its own."""
    for name in ("softplus", "gelu"):
        found = nsd.match(nsd.DEQ(name), "ntk", max_depth=1)
        assert (found.status, found.spec.depth) == ("matched", 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_asked_for_is_taken(family):
    found = nsd.match(nsd.DEQ("elu"), family=family, on_failure="return")
    assert found.family == family
    assert ": as asked; kernel distance " in found.reason
    assert all(each.family == family for each in found.solutions)


@pytest.mark.parametrize(
    ("name", "family"), [("softplus", "three_slope"), ("softplus", "leaky_relu"), ("elu", "leaky_relu")]
)
def test_sharp_knots_have_no_solution_for_smooth_bends(name, family):
    """Softplus has next to nothing beyond its second Hermite term. An answer, which does not raise."""
    found = nsd.match(nsd.DEQ(name), family=family)
    assert (found.status, found.solutions) == ("infeasible", ())
    assert found.residual > 1e-6


def test_the_record_says_what_was_asked():
    deq = nsd.DEQ("relu", sigma_a2=0.3)
    found = nsd.match(deq, "ntk", trainable=("recurrent", "readout"))
    assert (found.deq, found.kernel, found.trainable) == (deq, "ntk", {"recurrent", "readout"})
    assert found.target == nsd.coefficients(deq, "ntk", trainable=("recurrent", "readout"))
    assert found.achieved == nsd.coefficients(found.spec, "ntk", tau0=1.0)
    with pytest.raises(AttributeError):
        found.status = "infeasible"


@pytest.mark.parametrize(("name", "kernel"), [("relu", "ntk"), ("silu", "ck"), ("relu", "both")])
def test_the_same_deq_gives_the_same_network(name, kernel):
    assert nsd.match(nsd.DEQ(name), kernel) == nsd.match(nsd.DEQ(name), kernel)


@pytest.mark.parametrize(
    ("kernel", "idle", "max_depth"), [("ck", ("alpha2",), 1), ("ntk", ("beta2",), 1), ("both", ("alpha2", "beta2"), 2)]
)
def test_samples_of_equal_norm_leave_the_number_of_norms_out(kernel, idle, max_depth):
    """One layer has the other three numbers of one kernel of a ReLU."""
    stats = nsd.Statistics.from_data(ball(60, 40, equal=True))
    found = nsd.match(nsd.DEQ("relu"), kernel, max_depth=max_depth, stats=stats)
    assert (found.status, found.idle) == ("matched", idle)
    assert f"samples of equal norm make {' and '.join(idle)} idle" in found.reason
    misses = np.abs(naive_misses(found)).reshape(-1, 4)
    assert misses[:, [0, 2, 3]].max() <= COEFFICIENTS
    assert misses[0, 1] > MISS


@pytest.mark.parametrize(
    ("name", "kernel", "bound"), [("relu", "ck", 0.02), ("elu", "ck", 0.01), ("relu", "ntk", 0.05)]
)
def test_such_layers_have_the_kernels_of_normalised_samples(name, kernel, bound):
    """Measured: 3.6e-3, 2.6e-4, 1.4e-2, in the spectral norm."""
    X = ball(120, 60, equal=True)
    found = nsd.match(nsd.DEQ(name), kernel, max_depth=1, stats=nsd.Statistics.from_data(X))
    assert (found.status, found.spec.depth) == ("matched", 1)
    function = nsd.ck if kernel == "ck" else nsd.ntk
    exact, shallow = function(nsd.DEQ(name), X), function(found.spec, X)
    assert np.linalg.norm(exact - shallow, 2) <= bound * np.linalg.norm(exact, 2)


def test_statistics_of_unequal_norms_leave_nothing_out():
    found = nsd.match(nsd.DEQ("relu"), stats=nsd.Statistics.from_data(ball(60, 40)))
    assert (found.status, found.idle, found.spec.depth) == ("matched", (), 2)


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
def test_a_hermite_layer_is_for_samples_of_one_norm(kernel):
    """Its kernel on them is the DEQ's to the error that is reported, and all but the number of norms agree."""
    X = ball(40, 30, equal=True)
    deq = nsd.DEQ("gelu", 0.3, 0.7)
    found = nsd.match(deq, kernel, family="hermite", stats=nsd.Statistics.from_data(X), error=0.01)
    assert (found.status, found.family, found.spec.depth) == ("matched", "hermite", 1)
    assert found.idle == ({"ck": "alpha2", "ntk": "beta2"}[kernel],)
    assert found.residual <= COEFFICIENTS
    function = nsd.ck if kernel == "ck" else nsd.ntk
    exact, shallow = function(deq, X), function(found.spec, X)
    assert found.distance <= 0.01
    assert np.abs(exact - shallow).max() <= found.distance * exact[0, 0] * (1.0 + COEFFICIENTS) + COEFFICIENTS


@pytest.fixture
def hurried(monkeypatch):
    """Give each start of the search so few steps that none settles."""
    original = search.least_squares
    monkeypatch.setattr(search, "least_squares", lambda f, z: original(f, z, steps=1))


@pytest.mark.usefixtures("hurried")
def test_a_search_in_vain_raises_with_the_remedy():
    with pytest.raises(nsd.ConvergenceError, match=r"soft_slopes x 2: searched in vain.* try another family, a larger"):
        nsd.match(nsd.DEQ("silu"), family="soft_slopes")


@pytest.mark.usefixtures("hurried")
def test_a_search_in_vain_can_be_returned():
    found = nsd.match(nsd.DEQ("silu"), family="soft_slopes", on_failure="return")
    assert (found.status, found.solutions, found.spec.depth) == ("not_converged", (), 2)
    assert found.residual > 1e-3
    assert_close(found.residual, np.abs(naive_misses(found)).max(), MISS)


@pytest.mark.usefixtures("hurried")
def test_an_infeasible_answer_does_not_raise():
    """A relation says it, and not the search."""
    assert nsd.match(nsd.DEQ("relu"), family="hard_tanh").status == "infeasible"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deq": "relu"}, "deq must be a DEQ, got 'relu'"),
        ({"deq": nsd.MLP((nsd.Layer("tanh"),))}, "deq must be a DEQ"),
        ({"kernel": "nngp"}, "kernel must be one of 'ck', 'ntk', 'both', got 'nngp'"),
        ({"kernel": None}, "kernel must be one of"),
        ({"family": "relu"}, "family must be one of 'auto', 'hard_tanh', .*'hermite', got 'relu'"),
        ({"max_depth": 0}, "max_depth must be an integer .*, got 0"),
        ({"max_depth": 4}, "max_depth must be an integer .*, got 4"),
        ({"max_depth": 1.5}, "max_depth must be an integer .*, got 1.5"),
        ({"max_depth": True}, "max_depth must be an integer .*, got True"),
        ({"trainable": "layer1"}, "trainable must be"),
        ({"trainable": ()}, "trainable must be"),
        ({"on_failure": "ignore"}, "on_failure must be one of 'raise', 'return', got 'ignore'"),
        ({"stats": np.ones((3, 2))}, "stats must be a Statistics"),
        ({"error": 0.1}, "error goes with family='hermite', got error=0.1 and family='auto'"),
        ({"family": "hermite", "kernel": "both"}, "one layer cannot have both"),
        ({"family": "hermite", "stats": nsd.Statistics.from_data(ball())}, "for samples of equal norm"),
        ({"deq": nsd.DEQ("relu", center=False)}, "centred activations"),
        ({"deq": nsd.DEQ("relu", sigma_a2=3.0)}, "no stable kernel fixed point"),
        ({"deq": nsd.DEQ("relu", sigma_c2=0.1)}, "need a model without bias, got sigma_c2 = 0.1"),
        ({"deq": nsd.DEQ("relu", sigma_c2=0.1), "kernel": "ntk", "trainable": "bias"}, "without bias, got sigma_c2"),
        ({"kernel": "ntk", "trainable": "bias"}, "got 'bias': this DEQ has no bias, its sigma_c2 is 0"),
        ({"deq": nsd.DEQ("relu", sigma_a2=0.0), "kernel": "ntk", "trainable": "recurrent"}, "nothing to match"),
        ({"deq": nsd.DEQ("relu", sigma_a2=0.0), "kernel": "both", "trainable": "recurrent"}, "the ntk of .* is zero"),
    ],
)
def test_illegal_arguments_are_refused(change, message):
    given = {"deq": nsd.DEQ("relu"), "kernel": "ck"} | change
    with pytest.raises(ValueError, match=message):
        nsd.match(**given)


def test_the_public_function_is_the_one_of_the_package():
    assert nsd.match is public


def sphere(n=60, p=20):
    X = np.random.default_rng(3).standard_normal((n, p))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["silu", "relu"])
def test_one_layer_beside_one_has_both_kernels_of_samples_of_equal_norm(name):
    found = nsd.match(nsd.DEQ(name), "both", max_depth=1, stats=nsd.Statistics.from_data(sphere()))
    assert found.status == "matched"
    assert [branch.depth for branch in found.spec.branches] == [1, 1]


def test_a_hard_tanh_that_is_nearly_a_sign_is_its_own_twin():
    narrow = nsd.DEQ(nsd.activation("hardtanh", clip=1e-7), sigma_a2=0.0)
    assert nsd.match(narrow, family="hard_tanh", max_depth=1).status == "matched"


@pytest.mark.parametrize(("tau0", "kernel"), [(10.0, "ck"), (30.0, "ntk")])
@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_a_target_of_a_diagonal_alone_is_neither_called_odd_nor_even(tau0, kernel):
    """Entries of different samples vanish: differences are relative to a thousandth of the diagonal then.

    No entry exceeds the diagonals of its two samples, so no difference is more than some thousands of that.
    """
    found = nsd.match(nsd.DEQ("sin", tau0=tau0), kernel, on_failure="return")
    assert "has a diagonal alone" in found.reason
    assert found.distance < 4e3


def test_a_sphere_exact_layer_is_for_its_own_norm():
    stats = nsd.Statistics.from_data(2.0 * sphere())
    with (
        pytest.warns(nsd.errors.ScaleWarning),
        pytest.raises(ValueError, match=r"samples of norm tau0 = 1 alone, and those of stats have 2"),
    ):
        nsd.match(nsd.DEQ("relu"), family="hermite", stats=stats)


def test_a_kernel_far_off_is_said_to_be_another_one():
    found = nsd.match(nsd.DEQ("cos"))
    assert found.distance > 0.05
    assert "it is another kernel, for all that its numbers agree" in found.reason
