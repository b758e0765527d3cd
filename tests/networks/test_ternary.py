"""Ternary weights: their distribution, the kernels they have in the limit, and what is left of them after training."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.networks import ExplicitNetwork, empirical_ck, memory_bits
from tests.tolerances import FORWARD, STANDARD_ERRORS, assert_close

SPEC = nsd.MLP((nsd.Layer("silu"), nsd.Layer("tanh", weight_var=2.0, learning_rate=0.5, bias_var=0.3)))
SPARSITIES = (0.0, 0.35, 0.9, 0.99)


def ternary(width=200, sparsity=0.9, **options):
    return ExplicitNetwork(SPEC, 150, width, 3, weights="ternary", sparsity=sparsity, **options)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_three_values_with_the_right_chances(sparsity):
    for W in ternary(sparsity=sparsity, seed=1).layers:
        scale = 1 / math.sqrt(1 - sparsity)
        assert set(W.unique().tolist()) == ({-scale, 0.0, scale} if sparsity else {-scale, scale})
        for value, chance in ((-scale, 0.5 - sparsity / 2), (0.0, sparsity), (scale, 0.5 - sparsity / 2)):
            error = math.sqrt(max(chance * (1 - chance), 0.0) / W.numel())
            assert abs(float((W == value).double().mean()) - chance) <= STANDARD_ERRORS * error


def test_entries_are_independent_along_rows_and_columns_and_between_layers():
    first, second = (W.detach() for W in ternary(width=150, seed=2).layers)
    variance_of_squares = 1 / (1 - 0.9) - 1
    for left, right in ((first[1:], first[:-1]), (first[:, 1:], first[:, :-1]), (first, second)):
        number = math.sqrt(left.numel())
        assert abs(float((left * right).mean())) * number < STANDARD_ERRORS
        squares = ((left**2 - 1) * (right**2 - 1)).mean() / variance_of_squares
        assert abs(float(squares)) * number < STANDARD_ERRORS


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_they_are_gaussian_weights_rounded(sparsity):
    gaussian, net = ExplicitNetwork(SPEC, 150, 200, 3, seed=4), ternary(sparsity=sparsity, seed=4)
    bound = NormalDist().inv_cdf((1 + sparsity) / 2)
    for G, W in zip(gaussian.layers, net.layers, strict=True):
        rounded = np.sign(G.detach().numpy()) * (np.abs(G.detach().numpy()) > bound) / math.sqrt(1 - sparsity)
        np.testing.assert_array_equal(W.detach().numpy(), rounded)
    assert torch.equal(net.readout.weight, gaussian.readout.weight)
    assert torch.equal(net.biases["bias2"], gaussian.biases["bias2"])


def test_one_seed_is_one_network_in_either_precision():
    single, double = ternary(seed=7, dtype=torch.float32), ternary(seed=7)
    for one, other in zip(single.parameters(), double.parameters(), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other.float())
    assert not torch.equal(double.layers[0], ternary(seed=8).layers[0])


def test_numbers_are_small_or_large_before_they_are_rounded():
    """The bound between small and large lies between a number and its rounding to float32."""
    drawn = ExplicitNetwork(SPEC, 150, 200, seed=7).layers[0].detach().abs()
    gaps = torch.where(drawn < 2, drawn - drawn.float().double(), 0.0)
    where = np.unravel_index(int(gaps.argmax()), gaps.shape)
    sparsity = 2 * NormalDist().cdf(float(drawn[where] - gaps[where] / 2)) - 1
    for dtype in (torch.float32, torch.float64):
        assert ternary(sparsity=sparsity, seed=7, dtype=dtype).layers[0][where] != 0


def test_specs_take_the_options():
    net = SPEC.to_torch(150, 200, 3, seed=5, weights="ternary")
    assert net.options == {"weights": "ternary", "sparsity": 0.9}
    assert torch.equal(net.layers[1], ternary(seed=5).layers[1])
    half = SPEC.to_torch(150, 200, weights="ternary", sparsity=0.5)
    assert half.options == {"weights": "ternary", "sparsity": 0.5}
    assert SPEC.to_torch(150, 200).options == {"weights": "gaussian", "sparsity": None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "binary"}, "weights must be one of 'gaussian', 'ternary', got 'binary'"),
        ({"sparsity": 0.9}, "sparsity is of ternary weights; leave it out with weights='gaussian', got 0.9"),
        ({"weights": "ternary", "sparsity": 1.0}, r"sparsity must be a number in \[0, 1\), got 1.0"),
        ({"weights": "ternary", "sparsity": -0.1}, "sparsity must be a finite number >= 0, got -0.1"),
        ({"weights": "ternary", "sparsity": math.nan}, "sparsity must be a finite number >= 0, got nan"),
        ({"weights": "ternary", "sparsity": "most"}, "sparsity must be a number, got 'most'"),
    ],
)
def test_bad_options(options, message):
    for build in (lambda: ExplicitNetwork(SPEC, 5, 4, **options), lambda: SPEC.to_torch(5, 4, **options)):
        with pytest.raises(ValueError, match=message):
            build()


def deviation(kernels, exact):
    """Return the largest distance of the mean kernel from ``exact`` in standard errors."""
    error = kernels.std(axis=0, ddof=1) / math.sqrt(len(kernels))
    return (np.abs(kernels.mean(axis=0) - exact) / error).max()


def test_few_inputs_give_the_kernel_of_all_rows_of_weights():
    """With five inputs, the 243 rows of weights and their chances are summed over: no Gaussian limit is near."""
    X = np.random.default_rng(0).standard_normal((4, 5))
    spec, sparsity, width = nsd.MLP((nsd.Layer("tanh", weight_var=1.5),)), 0.6, 20_000
    rows = np.array(list(itertools.product((-1, 0, 1), repeat=5))) / math.sqrt(1 - sparsity)
    chances = np.where(rows == 0, sparsity, (1 - sparsity) / 2).prod(axis=1)
    units = np.tanh(math.sqrt(1.5) * X @ rows.T)
    exact = (units * chances) @ units.T
    nets = [ExplicitNetwork(spec, 5, width, seed=s, weights="ternary", sparsity=sparsity) for s in range(30)]
    kernels = np.stack([empirical_ck(net, X) for net in nets])
    assert deviation(kernels, exact) < STANDARD_ERRORS
    assert deviation(kernels, nsd.ck(spec, X)) > 10 * STANDARD_ERRORS


@pytest.mark.parametrize("sparsity", [0.5, 0.9])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_many_inputs_give_the_kernel_of_the_spec(activation, sparsity):
    twin = nsd.match(nsd.DEQ(activation)).spec
    X = np.random.default_rng(1).standard_normal((5, 600))
    X[1] = X[0] + 0.5 * X[1]
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    nets = (twin.to_torch(600, 300, seed=seed, weights="ternary", sparsity=sparsity) for seed in range(40))
    kernels = np.stack([empirical_ck(net, X) for net in nets])
    assert deviation(kernels, nsd.ck(twin, X)) < STANDARD_ERRORS


def test_training_ends_it():
    net = ternary(width=20)
    before = memory_bits(net).hidden
    optimiser = torch.optim.SGD(net.parameter_groups(0.1))
    X = torch.randn(6, 150, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    net(X).square().sum().backward()
    optimiser.step()
    assert all(len(W.unique()) > W.numel() // 2 for W in net.layers)
    assert before.codes < before.floats == memory_bits(net).hidden.codes


def test_a_readout_may_be_trained_alone():
    net = ternary(width=20)
    before = memory_bits(net).hidden
    groups = [group for group in net.parameter_groups(0.1) if group["name"] == "readout"]
    X = torch.randn(6, 150, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    net(X).square().sum().backward()
    torch.optim.SGD(groups).step()
    assert memory_bits(net).hidden == before


def test_the_forward_pass_is_that_of_any_weights():
    net = ternary(width=30)
    X = np.random.default_rng(4).standard_normal((6, 150))
    first, second = (W.detach().numpy() for W in net.layers)
    inner = X @ first.T
    hidden = inner / (1 + np.exp(-inner)) / math.sqrt(30)
    hidden = np.tanh(math.sqrt(2.0) * hidden @ second.T + math.sqrt(0.3) * net.biases["bias2"].detach().numpy())
    assert_close(net.features(X), hidden / math.sqrt(30), FORWARD)
