"""One in sixty of the grid of DEQs that benchmarks/matching.py goes through: each has a network."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest

import notsodeep as nsd
from benchmarks.grid import KERNELS, deqs
from tests.matching.helpers import ALL, naive_misses
from tests.tolerances import COEFFICIENTS, SERIES

SHARE = 60
GRID = list(product(deqs(), KERNELS.values()))
SAMPLE = sorted(Random(0).sample(range(len(GRID)), len(GRID) // SHARE))


def test_the_grid_lacks_but_deqs_without_a_fixed_point():
    """18 activations, 7 variances and 3 scales; unbounded slopes run away at large variances."""
    each = {(deq.activation, deq.sigma_a2, deq.tau0) for deq in deqs()}
    assert len({activation for activation, _, _ in each}) == 18
    assert 18 * 7 * 3 - 7 * 3 <= len(each) < 18 * 7 * 3
    assert len(GRID) == 3 * len(each)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
@pytest.mark.parametrize("place", SAMPLE)
def test_a_network_of_two_layers_at_most_is_found(place):
    deq, (kernel, trainable) = GRID[place]
    found = nsd.match(deq, kernel, trainable=trainable)
    assert found.status == "matched"
    assert found.residual <= SERIES
    assert found.spec.depth <= 2
    misses = naive_misses(found, ALL if trainable == "all" else trainable)
    assert np.abs(misses).max() <= max(COEFFICIENTS, 2.0 * found.residual)
