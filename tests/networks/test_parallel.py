"""Networks of parallel branches against a forward pass written out, and against the kernels of their limit."""

import math

import numpy as np
import pytest
import torch

from notsodeep.networks import ParallelNetwork, empirical_ck, memory_bits
from notsodeep.spec import MLP, Layer, Parallel, weight_names
from tests.kernels.functions import FUNCTIONS
from tests.reference import naive_kernels as naive
from tests.tolerances import EXACT, FORWARD, ROUNDING, STANDARD_ERRORS

DEEP = MLP((Layer("tanh", 1.5, 0.5), Layer("silu", 0.8, 2.0, bias_var=0.3)))
SPEC = Parallel((DEEP, MLP((Layer("relu", 2.0, 0.3),))))
NAIVE = naive.Parallel(
    (
        naive.Mlp(((FUNCTIONS["tanh"], 1.5, 0.5), (FUNCTIONS["silu"], 0.8, 2.0, 0.3))),
        naive.Mlp(((FUNCTIONS["relu"], 2.0, 0.3),)),
    )
)


def batch(n=4, p=5):
    X = torch.randn(n, p, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return X / X.norm(dim=1, keepdim=True) * torch.linspace(0.6, 1.4, n, dtype=torch.float64)[:, None]


def test_features_equal_a_forward_pass_by_hand():
    net, X = ParallelNetwork(SPEC, 5, 61, 2, seed=1), batch()
    (first, second), (third,) = ([w.detach().numpy() for w in branch.layers] for branch in net.branches)
    assert (first.shape, second.shape, third.shape) == ((31, 5), (31, 31), (30, 5))
    bias = net.branches[0].biases["bias2"].detach().numpy()
    inner = math.sqrt(0.8) * np.tanh(math.sqrt(1.5) * X.numpy() @ first.T) / math.sqrt(31) @ second.T
    inner += math.sqrt(0.3) * bias
    left = inner / (1 + np.exp(-inner)) / math.sqrt(31)
    right = np.maximum(math.sqrt(2.0) * X.numpy() @ third.T, 0) / math.sqrt(30)
    hidden = np.hstack([left, right])
    np.testing.assert_allclose(net.features(X).detach().numpy(), hidden, rtol=FORWARD, atol=EXACT)
    np.testing.assert_allclose(net(X).detach().numpy(), hidden @ net.readout.weight.detach().numpy().T, atol=ROUNDING)


@pytest.mark.parametrize(("width", "shares"), [(3, [1, 1, 1]), (10, [4, 3, 3]), (11, [4, 4, 3]), (12, [4, 4, 4])])
def test_features_are_shared_out_evenly(width, shares):
    net = ParallelNetwork(Parallel((DEEP, DEEP, DEEP)), 5, width)
    assert [branch.width for branch in net.branches] == shares
    assert net.features(batch()).shape == (4, width)


def test_equal_branches_draw_different_weights():
    one, other = ParallelNetwork(Parallel((DEEP, DEEP)), 5, 40).branches
    for name, weight in one.state_dict().items():
        assert not torch.equal(weight, other.state_dict()[name])


def test_options_go_to_every_branch():
    net = SPEC.to_torch(5, 40, seed=3, weights="ternary", sparsity=0.5)
    for branch in net.branches:
        for W in branch.layers:
            assert (W.unique() * math.sqrt(0.5)).round(decimals=12).tolist() == [-1.0, 0.0, 1.0]
    assert net.options == {"weights": "ternary", "sparsity": 0.5}
    gaussian = SPEC.to_torch(5, 40, seed=3)
    assert torch.equal(gaussian.readout.weight, net.readout.weight)
    assert gaussian.options == {"weights": "gaussian", "sparsity": None}


def test_bad_arguments():
    with pytest.raises(ValueError, match="width must be at least 2, one feature for each branch, got 1"):
        ParallelNetwork(SPEC, 5, 1)
    with pytest.raises(ValueError, match="sparsity must be a number in"):
        ParallelNetwork(SPEC, 5, 10, weights="ternary", sparsity=1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tol'"):
        ParallelNetwork(SPEC, 5, 10, tol=1e-3)
    with pytest.raises(ValueError, match="lr must be a"):
        ParallelNetwork(SPEC, 5, 10).parameter_groups(-0.1)


def test_groups_cover_every_parameter_once():
    net = ParallelNetwork(SPEC, 5, 30)
    groups = net.parameter_groups(1.0)
    assert tuple(group["name"] for group in groups) == weight_names(SPEC)
    assert [group["lr"] for group in groups] == [0.5, 2.0, 2.0, 0.3, 1.0]
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    assert {id(w) for group in groups for w in group["params"]} == {id(w) for w in net.parameters()}


def test_memory_counts_every_weight():
    found = memory_bits(ParallelNetwork(SPEC, 5, 40, 3))
    parts = found.hidden.weights, found.biases.weights, found.readout.weights
    assert parts == (20 * 5 + 20 * 20 + 20 * 5, 20, 3 * 40)


def exact(X, index, trained=()):
    return np.array([[NAIVE.kernels(x, y, trained)[index] for y in X] for x in X])


def deviation(kernels, limit):
    """Return how far the mean of independent kernels is from their limit, in standard errors, at the worst entry."""
    error = kernels.std(axis=0, ddof=1) / math.sqrt(len(kernels))
    return float(np.abs((kernels.mean(axis=0) - limit) / error).max())


def test_the_mean_over_networks_has_the_naive_conjugate_kernel():
    X = batch(3).numpy()
    kernels = np.stack([empirical_ck(ParallelNetwork(SPEC, 5, 1001, seed=seed), X) for seed in range(40)])
    found = deviation(kernels, exact(X, 0))
    assert found < STANDARD_ERRORS, f"{found:.2f} standard errors"


def tangent_kernels(net, X):
    """Return the NTK of each group of parameters, by the gradients of the output and the rates of the groups."""
    groups = net.parameter_groups(1.0)
    parameters = [parameter for group in groups for parameter in group["params"]]
    rows = [torch.autograd.grad(net(x[None])[0, 0], parameters) for x in X]
    gradients = [torch.stack([row[k].flatten() for row in rows]) for k in range(len(parameters))]
    return {group["name"]: group["lr"] * (g @ g.T).numpy() for group, g in zip(groups, gradients, strict=True)}


def test_the_mean_over_networks_has_the_naive_tangent_kernel_at_the_rates_of_its_groups():
    X, names = batch(3), weight_names(SPEC)
    found = [tangent_kernels(ParallelNetwork(SPEC, 5, 801, seed=seed), X) for seed in range(40)]
    for name in names:
        off = deviation(np.stack([parts[name] for parts in found]), exact(X.numpy(), 1, (name,)))
        assert off < STANDARD_ERRORS, f"{name}: {off:.2f} standard errors"
    off = deviation(np.stack([sum(parts.values()) for parts in found]), exact(X.numpy(), 1, names))
    assert off < STANDARD_ERRORS, f"all: {off:.2f} standard errors"
