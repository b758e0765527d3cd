"""The equilibrium: it satisfies its equation, and a failure to reach it is never silent."""

import math

import numpy as np
import pytest
import torch

from notsodeep.activations import Activation
from notsodeep.errors import ConvergenceError, StabilityWarning
from notsodeep.kernels.scalar import rest_point
from notsodeep.networks import DEQNetwork
from notsodeep.networks.solvers import SOLVERS
from notsodeep.spec import DEQ
from tests.reference import finite_ntk as reference
from tests.tolerances import EQUILIBRIUM, EQUILIBRIUM_FLOAT32, EXACT, FORWARD, RECORDED, REFERENCE_STATE, SHIFT

RESIDUAL = {torch.float64: EQUILIBRIUM, torch.float32: EQUILIBRIUM_FLOAT32}
SIGMA_B2 = 0.8


def batch(n=6, p=5):
    X = torch.randn(n, p, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return X / X.norm(dim=1, keepdim=True)


def network(activation="relu", sigma_a2=0.2, width=60, sigma_c2=0.0, **options):
    return DEQNetwork(DEQ(activation, sigma_a2=sigma_a2, sigma_b2=SIGMA_B2, sigma_c2=sigma_c2), 5, width, **options)


def unstable(**options):
    """Return a chaotic network: its kernel has a stable fixed point, but its weights are far from a contraction."""
    with pytest.warns(StabilityWarning):
        return network("tanh", sigma_a2=3.0, width=100, **options)


def by_hand(net, X):
    """Return the right side of the equation at the states that ``net`` finds, and these states."""
    Z, _ = net.solve(X)
    phi = rest_point(net.spec).activation
    X = X.to(Z.dtype)
    with torch.no_grad():
        U = math.sqrt(net.spec.sigma_a2) * Z @ net.A.T + math.sqrt(SIGMA_B2) * X @ net.B.T
        if net.spec.sigma_c2:
            U += math.sqrt(net.spec.sigma_c2) * net.c
    return phi(U) / math.sqrt(net.width), Z


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sigma_c2", [0.0, 0.5])
@pytest.mark.parametrize(
    ("activation", "sigma_a2"), [("relu", 0.2), ("tanh", 0.8), ("silu", 0.6), ("identity", 0.1), ("tanh", 0.0)]
)
def test_states_satisfy_the_equation(activation, sigma_a2, sigma_c2, dtype):
    right, Z = by_hand(network(activation, sigma_a2, sigma_c2=sigma_c2, dtype=dtype), batch())
    residual = float(((right - Z).norm(dim=1) / Z.norm(dim=1)).max())
    assert residual <= RESIDUAL[dtype], f"residual {residual:.1e}"


@pytest.mark.parametrize("sigma_c2", [0.0, 0.5])
def test_states_are_those_of_the_naive_implementation(sigma_c2):
    net, X = network("silu", 0.5, sigma_c2=sigma_c2), batch()
    phi = rest_point(net.spec).activation
    A, B, c = (None if w is None else w.detach().numpy() for w in (net.A, net.B, net.c))
    expected, _ = reference.equilibrium(A, B, X.numpy(), phi, 0.5, SIGMA_B2, c=c, sigma_c2=sigma_c2)
    np.testing.assert_allclose(net.solve(X)[0].numpy(), expected, rtol=0, atol=REFERENCE_STATE)


def test_features_are_the_solved_states():
    net = network()
    assert torch.equal(net.features(batch()), net.solve(batch())[0])
    assert not net.solve(batch())[0].requires_grad
    assert net.features(batch()).requires_grad


def test_the_activation_is_centred_as_the_spec_says():
    centred = DEQNetwork(DEQ("relu", sigma_a2=0.0, sigma_b2=1.0), 5, 20)
    plain = DEQNetwork(DEQ("relu", sigma_a2=0.0, sigma_b2=1.0, center=False), 5, 20)
    difference = plain.features(batch()) - centred.features(batch())
    shift = 1 / math.sqrt(2 * math.pi) / math.sqrt(20)  # E[relu(xi)] / sqrt(m)
    torch.testing.assert_close(difference, torch.full_like(difference, shift), rtol=0, atol=SHIFT)


def test_record_counts_the_iterations_of_a_loop_by_hand():
    net, X, tol = network("tanh", 0.6), batch(), 1e-8
    net.tol = tol

    def step(Z):
        return torch.tanh(0.6**0.5 * Z @ net.A.T + SIGMA_B2**0.5 * X @ net.B.T) / math.sqrt(net.width)

    with torch.no_grad():
        last, Z, count = None, step(torch.zeros(6, net.width, dtype=torch.float64)), 0
        while last is None or ((Z - last).norm(dim=1) > tol * Z.norm(dim=1)).any():
            last, Z, count = Z, step(Z), count + 1
    solved, record = net.solve(X)
    assert record.iterations == count
    slowest = record.steps == count
    torch.testing.assert_close(solved[slowest], Z[slowest], rtol=0, atol=EXACT)
    assert float(((solved - Z).norm(dim=1) / Z.norm(dim=1)).max()) <= 10 * tol  # left out when they were done
    moves = (Z - last).norm(dim=1) / Z.norm(dim=1)
    torch.testing.assert_close(record.residuals[slowest], moves[slowest], rtol=RECORDED, atol=0)
    assert (record.converged, record.iterations, record.unconverged, record.tolerance) == (True, count, 0, tol)
    assert record.residual == float(record.residuals.max())


def test_a_linear_network_without_recurrence_needs_one_iteration():
    net = network("identity", sigma_a2=0.0)
    Z, record = net.solve(batch())
    assert (record.iterations, record.residual) == (1, 0.0)
    torch.testing.assert_close(Z, SIGMA_B2**0.5 * batch() @ net.B.T / math.sqrt(60), rtol=FORWARD, atol=0)


def test_too_few_iterations_raise_with_the_remedy():
    with pytest.raises(ConvergenceError, match=r"for 6 of 6 samples.*after 2 iterations.*lower sigma_a2 \(now 0.2\)"):
        network(max_iter=2).features(batch())


def test_a_chaotic_network_raises_everywhere_or_returns_its_record():
    net = unstable(max_iter=200)
    for ask in (net, net.features, net.solve):
        with pytest.raises(ConvergenceError, match="raise max_iter or tol"):
            ask(batch())
    Z, record = net.solve(batch(), on_failure="return")
    assert not record.converged
    assert (record.iterations, record.unconverged, Z.shape) == (200, 6, (6, 100))
    assert record.residual > 1e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_overflow_is_found_when_it_happens(dtype):
    net = network(width=20, dtype=dtype)
    with torch.no_grad():
        net.A.mul_(10.0)
    with pytest.raises(ConvergenceError, match=r"diverged \(overflow in iteration \d+\); lower sigma_a2"):
        net(batch())
    _, record = net.solve(batch(), on_failure="return")
    assert not record.converged
    assert math.isnan(record.residual)
    assert 1 < record.iterations < net.max_iter


def test_only_the_samples_that_fail_are_counted():
    net = network("tanh", 0.2, max_iter=4, tol=1e-3)
    X = torch.cat([batch(3) * 1e3, batch(2)])  # saturated units do not move
    _, record = net.solve(X, on_failure="return")
    assert (record.converged, record.unconverged) == (False, 2)


def test_zero_input_of_an_odd_network_stays_at_zero():
    Z, record = network("tanh").solve(torch.zeros(2, 5))
    assert record.converged
    assert not Z.any()


def test_a_bias_is_felt_without_input():
    net = network("tanh", sigma_a2=0.0, sigma_c2=0.5)
    Z, _ = net.solve(torch.zeros(2, 5))
    want = torch.tanh(math.sqrt(0.5) * net.c.detach()) / math.sqrt(60)
    torch.testing.assert_close(Z, want.expand(2, -1), rtol=FORWARD, atol=0)


@pytest.mark.parametrize("fn", [np.arctan, torch.atan], ids=["numpy", "torch"])
def test_custom_activations(fn):
    net = network(Activation(fn))
    right, Z = by_hand(net, batch())
    torch.testing.assert_close(right, Z, rtol=0, atol=EQUILIBRIUM)
    net(batch()).sum().backward()
    assert torch.isfinite(net.A.grad).all()


def test_a_spec_without_stable_kernel_has_no_network():
    with pytest.raises(ValueError, match="no stable kernel fixed point"):
        network("relu", sigma_a2=3.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": 0.0}, "tol must be a finite number > 0, got 0.0"),
        ({"tol": "small"}, "tol must be a number, got 'small'"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)


def test_bad_on_failure():
    with pytest.raises(ValueError, match="on_failure must be one of 'raise', 'return', got 'ignore'"):
        network().solve(batch(), on_failure="ignore")


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_an_activation_that_returns_its_argument_is_not_overwritten(solver):
    net = network(Activation(lambda x: x, lambda x: x * 0 + 1), 0.3, solver=solver)
    Z, _ = net.solve(batch())
    with torch.no_grad():
        system = torch.eye(60, dtype=torch.float64) - math.sqrt(0.3 / 60) * net.A.T
        right = math.sqrt(SIGMA_B2 / 60) * batch() @ net.B.T
    torch.testing.assert_close(Z, torch.linalg.solve(system, right, left=False), rtol=0, atol=EQUILIBRIUM)
