"""Moments of pairs of units against quadrature in two dimensions, and derivatives against differences of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

import notsodeep as nsd
from notsodeep.matching.pair_moments import PairMoments
from tests.tolerances import PAIR_DIFFERENCES, PAIR_MOMENTS, assert_close

NODES, WEIGHTS = hermegauss(180)
WEIGHTS = np.outer(WEIGHTS, WEIGHTS) / WEIGHTS.sum() ** 2
SIGMAS = {
    "silu": nsd.activation("silu"),
    "tanh": nsd.activation("tanh").shifted(0.3),
    "cubic": nsd.activation("hermite", coefficients=(0.2, 1.0, 0.5, -0.3), scale=0.7),
}


def terms(sigma, q, covariance, p) -> np.ndarray:
    """Return ``(sigma(u)^2, sigma(u) sigma(v), sigma(v)^2)`` on the grid of normals with the variances q and p."""
    x, y = np.meshgrid(NODES, NODES, indexing="ij")
    u = np.sqrt(q) * x
    v = covariance / np.sqrt(q) * x + np.sqrt(p - covariance**2 / q) * y
    su, sv = sigma(u), sigma(v)
    return np.stack([su * su, su * sv, sv * sv])


def means(sigma, q, covariance, p) -> np.ndarray:
    return (terms(sigma, q, covariance, p) * WEIGHTS).sum((1, 2))


@pytest.mark.parametrize("name", SIGMAS)
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("variance", [0.5, 1.3])
def test_moments_are_those_of_a_grid(name, correlation, variance):
    sigma, covariance = SIGMAS[name], correlation * variance
    found = PairMoments.of(sigma, variance, correlation)
    values = terms(sigma, variance, covariance, variance)
    mean = (values * WEIGHTS).sum((1, 2))
    second = np.einsum("aij,bij,ij->ab", values, values, WEIGHTS)
    assert_close([found.square, found.product], mean[:2], PAIR_MOMENTS)
    assert_close(found.covariance, second - np.outer(mean, mean), PAIR_MOMENTS, scale=second.max())


@pytest.mark.parametrize("name", SIGMAS)
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_derivatives_are_those_of_differences(name, correlation):
    at, step = np.array([0.9, correlation * 0.9, 0.9]), 1e-3
    found = PairMoments.of(SIGMAS[name], 0.9, correlation)
    columns = [
        (8.0 * (means(SIGMAS[name], *(at + e)) - means(SIGMAS[name], *(at - e)))
         - (means(SIGMAS[name], *(at + 2 * e)) - means(SIGMAS[name], *(at - 2 * e)))) / (12.0 * step)
        for e in step * np.eye(3)
    ]  # fmt: skip
    assert_close(found.jacobian, np.stack(columns, axis=1), PAIR_DIFFERENCES)


def test_the_relu_has_closed_forms():
    """Means of its powers: ``sqrt(q / 2 pi)``, ``q / 2``, ``2 q^(3/2) / sqrt(2 pi)``, ``3 q^2 / 2``."""
    q = 2.0
    found = PairMoments.of(nsd.activation("relu"), q, 0.0)
    first, third = np.sqrt(q / (2.0 * np.pi)), 2.0 * q**1.5 / np.sqrt(2.0 * np.pi)
    assert_close([found.square, found.product], [0.5 * q, first**2], PAIR_MOMENTS)
    cube = first * third - 0.5 * q * first**2
    want = [[1.25 * q**2, cube, 0.0], [cube, 0.25 * q**2 - first**4, cube], [0.0, cube, 1.25 * q**2]]
    assert_close(found.covariance, want, PAIR_MOMENTS)
    bend = 0.5 * first / np.sqrt(2.0 * np.pi * q)
    assert_close(found.jacobian, [[0.5, 0.0, 0.0], [bend, 0.25, bend], [0.0, 0.0, 0.5]], PAIR_MOMENTS)
