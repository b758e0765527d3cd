"""The limit by another route: an untied network of sixty layers that reads its input again at every layer."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.kernels import tiling
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_kernels as naive
from tests.tolerances import KERNEL, assert_close

DEPTH = 60


def law_of(function):
    """Return E[phi phi] and E[phi' phi'] as matrices, by quadrature pair by pair."""

    def law(covariance, variances):
        value, slope = np.empty_like(covariance), np.empty_like(covariance)
        for i, q in enumerate(variances):
            value[i, i], slope[i, i] = naive.square(function, np.sqrt(q))
            for j in range(i):
                s, t = np.sqrt(q), np.sqrt(variances[j])
                value[i, j], slope[i, j] = naive.dual(function, s, t, covariance[i, j] / (s * t))
                value[j, i], slope[j, i] = value[i, j], slope[i, j]
        return value, slope

    return law


def samples():
    X = np.array([[0.9, 0.3, -0.2], [0.7, 0.6, 0.1], [-0.4, 0.9, 0.8]])
    return X / np.sqrt((X**2).sum(axis=1).mean())


@pytest.mark.parametrize(
    ("name", "sigma_c2", "compiled_from"),
    [("relu", 0.0, 0), ("tanh", 0.0, 1 << 60), ("gelu", 0.1, 0), ("elu", 0.0, 1 << 60), ("erf", 0.2, 0)],
)
def test_sixty_untied_layers_have_the_same_kernels(name, sigma_c2, compiled_from, monkeypatch):
    monkeypatch.setattr(tiling, "COMPILED_FROM", compiled_from)
    deq = nsd.DEQ(name, sigma_a2=0.3, sigma_b2=0.6, sigma_c2=sigma_c2)
    function = naive.Deq(FUNCTIONS[name], 0.3, 0.6, sigma_c2=sigma_c2).activation()
    want = naive.untied(law_of(function), samples(), 0.3, 0.6, depth=DEPTH, sigma_c2=sigma_c2)
    for K, untied in zip(nsd.kernels(deq, samples()), want, strict=True):
        assert_close(K, untied, KERNEL, what=name)
