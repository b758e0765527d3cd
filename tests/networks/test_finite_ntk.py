"""The reference NTK of a finite DEQ against automatic differentiation of an unrolled iteration."""

import math

import numpy as np
import pytest
import torch

from tests.reference import finite_ntk as reference
from tests.tolerances import REFERENCE_NTK, ROUNDING, UNROLLED

SIGMA_A2, SIGMA_B2, SIGMA_C2 = 0.3, 0.7, 0.4
SMALL = {"m": 7, "p": 3, "seed": 5}


def softplus(u):
    return np.logaddexp(0.0, u) - 0.8 if isinstance(u, np.ndarray) else torch.nn.functional.softplus(u) - 0.8


def sigmoid(u):
    return 1.0 / (1.0 + np.exp(-u))


def tanh(u):
    return np.tanh(u) if isinstance(u, np.ndarray) else torch.tanh(u)


def sech2(u):
    return 1.0 - np.tanh(u) ** 2


def samples(n=4, p=3):
    return np.random.default_rng(11).standard_normal((n, p)) / math.sqrt(p)


def by_autograd(A, B, w, X, phi, c=None):
    """Return the contributions from gradients of w . z through 200 unrolled iterations."""
    weights = {"recurrent": A, "input": B, "readout": w} | ({} if c is None else {"bias": c})
    weights = {name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in weights.items()}
    (A, B, w, *_), X = weights.values(), torch.tensor(X, dtype=torch.float64)
    c = weights.get("bias", torch.zeros(1))
    rows = []
    for x in X:
        z = torch.zeros(len(A), dtype=torch.float64)
        for _ in range(200):
            u = math.sqrt(SIGMA_A2) * A @ z + math.sqrt(SIGMA_B2) * B @ x + math.sqrt(SIGMA_C2) * c
            z = phi(u) / math.sqrt(len(A))
        rows.append([g.reshape(-1).numpy() for g in torch.autograd.grad(w @ z, tuple(weights.values()))])
    gradients = [np.stack(column) for column in zip(*rows, strict=True)]
    return dict(zip(weights, (g @ g.T for g in gradients), strict=True))


@pytest.mark.parametrize("c", [None, reference.draw_bias(SMALL["m"], SMALL["seed"])], ids=["plain", "biased"])
@pytest.mark.parametrize(("phi", "dphi"), [(tanh, sech2), (softplus, sigmoid)])
def test_each_contribution_is_the_gram_of_its_gradients(phi, dphi, c):
    A, B, w = reference.draw(**SMALL)
    X = samples()
    expected = by_autograd(A, B, w[:, 0], X, phi, c)
    got = reference.finite_ntk(A, B, w, X, phi, dphi, SIGMA_A2, SIGMA_B2, c=c, sigma_c2=SIGMA_C2)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=UNROLLED, atol=UNROLLED * np.abs(value).max())


def test_several_readouts_are_averaged():
    A, B, w = reference.draw(**SMALL, readouts=3)
    X = samples()
    each = [by_autograd(A, B, column, X, tanh)["input"] for column in w.T]
    got = reference.finite_ntk(A, B, w, X, tanh, sech2, SIGMA_A2, SIGMA_B2)["input"]
    np.testing.assert_allclose(got, np.mean(each, axis=0), rtol=REFERENCE_NTK)


def test_expectation_over_the_readout_is_the_sum_over_unit_readouts():
    A, B, _ = reference.draw(**SMALL)
    X = samples()
    expected = sum(by_autograd(A, B, unit, X, tanh)["recurrent"] for unit in np.eye(len(A)))
    got = reference.finite_ntk(A, B, None, X, tanh, sech2, SIGMA_A2, SIGMA_B2)["recurrent"]
    np.testing.assert_allclose(got, expected, rtol=REFERENCE_NTK)


def test_conjugate_kernel_is_the_readout_contribution_and_its_states_solve_the_equation():
    A, B, w = reference.draw(m=50, p=3, seed=1)
    X = samples()
    Z, U = reference.equilibrium(A, B, X, tanh, SIGMA_A2, SIGMA_B2)
    np.testing.assert_allclose(U, math.sqrt(SIGMA_A2) * Z @ A.T + math.sqrt(SIGMA_B2) * X @ B.T, rtol=0, atol=UNROLLED)
    np.testing.assert_allclose(Z, tanh(U) / math.sqrt(50), rtol=0, atol=ROUNDING)
    ck = reference.finite_ck(A, B, X, tanh, SIGMA_A2, SIGMA_B2)
    np.testing.assert_array_equal(ck, reference.finite_ntk(A, B, w, X, tanh, sech2, SIGMA_A2, SIGMA_B2)["readout"])
    np.testing.assert_allclose(ck, Z @ Z.T, rtol=ROUNDING)


def test_the_bias_moves_the_states():
    A, B, _ = reference.draw(m=50, p=3, seed=1)
    c, X = reference.draw_bias(50, 1), samples()
    Z, U = reference.equilibrium(A, B, X, tanh, SIGMA_A2, SIGMA_B2, c=c, sigma_c2=SIGMA_C2)
    right = math.sqrt(SIGMA_A2) * Z @ A.T + math.sqrt(SIGMA_B2) * X @ B.T + math.sqrt(SIGMA_C2) * c
    np.testing.assert_allclose(U, right, rtol=0, atol=UNROLLED)
    ck = reference.finite_ck(A, B, X, tanh, SIGMA_A2, SIGMA_B2, c=c, sigma_c2=SIGMA_C2)
    np.testing.assert_allclose(ck, Z @ Z.T, rtol=ROUNDING)


def test_reference_refuses_a_network_without_equilibrium():
    A, B, _ = reference.draw(m=60, p=3, seed=0)
    with pytest.raises(RuntimeError, match="no equilibrium"):
        reference.equilibrium(A, B, samples(), tanh, 9.0, SIGMA_B2, max_iter=200)
