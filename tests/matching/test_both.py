"""Both kernels at once: eight numbers, by two branches or, of odd functions, by one."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.matching import FAMILIES
from tests.matching.helpers import ALL, PAPERS, naive_misses
from tests.tolerances import COEFFICIENTS

SHARP = ("silu", 0.2, PAPERS)
"""Where blurred knots are searched in vain, which takes a while, before sharp ones are found"""


@pytest.mark.parametrize(
    ("name", "sigma_a2", "trainable"),
    [
        *(("relu", 0.2, ALL), ("relu", 0.5, PAPERS), ("tanh", 0.2, PAPERS), ("tanh", 0.5, ALL)),
        *(("gelu", 0.2, ALL), SHARP, ("elu", 0.5, ALL)),
    ],
)
def test_all_eight_numbers_are_matched_with_bounded_slopes(name, sigma_a2, trainable):
    """Odd functions need one branch of one layer, others two; eight misses by the naive route."""
    deq = nsd.DEQ(name, sigma_a2, 1.0 - sigma_a2)
    family = "three_slope" if (name, sigma_a2, trainable) == SHARP else "auto"
    found = nsd.match(deq, "both", family, max_depth=1 if name == "tanh" else 2, trainable=trainable)
    assert found.status == "matched"
    assert FAMILIES[found.family].bounded
    misses = naive_misses(found, trainable)
    assert misses.shape == (8,)
    assert np.abs(misses).max() <= COEFFICIENTS
    if name == "tanh":
        assert isinstance(found.spec, nsd.MLP)
    else:
        assert [branch.depth for branch in found.spec.branches] in ([1, 2], [2, 2])
        assert "two parallel branches are needed" in found.reason


@pytest.mark.parametrize("family", ["leaky_relu", "soft_slopes", "three_slope", "cubic"])
def test_one_branch_is_infeasible_and_says_why(family):
    """One layer cannot have ``alpha2 / alpha3``, and no chain has ``beta3`` beside it."""
    found = nsd.match(nsd.DEQ("relu"), "both", family=family, max_depth=1)
    assert (found.status, found.solutions) == ("infeasible", ())
    assert "beta3 - alpha3 <= 2 (beta1 / alpha1 - 1) alpha3" in found.reason
    assert found.residual > 1e-3


@pytest.mark.parametrize("tau0", [0.3, 3.0])
def test_scales_make_no_difference_for_a_relu(tau0):
    """It is homogeneous: the same learning rates, and activations stretched with the data."""
    found, unit = (nsd.match(nsd.DEQ("relu", tau0=scale), "both") for scale in (tau0, 1.0))
    assert (found.status, found.family) == ("matched", unit.family)
    assert np.abs(naive_misses(found)).max() <= COEFFICIENTS


def test_the_record_has_both_kernels():
    found = nsd.match(nsd.DEQ("relu"), "both")
    assert found.target == tuple(nsd.coefficients(found.deq, kernel) for kernel in ("ck", "ntk"))
    assert found.achieved == tuple(nsd.coefficients(found.spec, kernel, tau0=1.0) for kernel in ("ck", "ntk"))
