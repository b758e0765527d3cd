"""What all kinds of network share: sizes, seeds, precision, checked batches, the readout."""

import copy

import numpy as np
import pytest
import torch

from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork
from notsodeep.networks.base import NormalWeights
from notsodeep.spec import DEQ, MLP, Layer, Parallel
from tests.tolerances import FLOAT32, ROUNDING


def deq(**options):
    return DEQNetwork(DEQ("relu", sigma_a2=0.2, sigma_b2=0.8), 5, 40, 3, **options)


def explicit(**options):
    return ExplicitNetwork(MLP((Layer("silu"), Layer("tanh", weight_var=2.0))), 5, 40, 3, **options)


def biased_deq(**options):
    return DEQNetwork(DEQ("relu", sigma_a2=0.2, sigma_b2=0.5, sigma_c2=0.3), 5, 40, 3, **options)


def biased_explicit(**options):
    layers = (Layer("silu"), Layer("tanh", weight_var=2.0, bias_var=0.3), Layer("relu", bias_var=1.5))
    return ExplicitNetwork(MLP(layers), 5, 40, 3, **options)


def parallel(**options):
    branches = MLP((Layer("silu"), Layer("tanh", weight_var=2.0, bias_var=0.3))), MLP((Layer("relu"),))
    return ParallelNetwork(Parallel(branches), 5, 40, 3, **options)


@pytest.fixture(params=[deq, explicit, biased_deq, biased_explicit, parallel])
def make(request):
    return request.param


def batch(n=6):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_shapes_and_readout(make):
    net, X = make(), batch()
    Z = net.features(X)
    assert Z.shape == (6, 40)
    assert Z.dtype == torch.float64
    assert net.readout.weight.shape == (3, 40)
    assert net.readout.bias is None
    torch.testing.assert_close(net(X), Z @ net.readout.weight.T, rtol=ROUNDING, atol=ROUNDING)


def test_a_spec_builds_its_network():
    for made in (deq(seed=4), explicit(seed=4), parallel(seed=4)):
        built = made.spec.to_torch(in_features=5, width=40, out_features=3, seed=4)
        assert type(built) is type(made)
        assert torch.equal(built(batch()), made(batch()))


def test_same_seed_same_weights_and_no_global_state(make):
    before = torch.get_rng_state()
    first, second, other = make(seed=7), make(seed=7), make(seed=8)
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
        assert not torch.equal(weight, other.state_dict()[name])


def test_weights_are_standard_normal_and_distinct(make):
    weights = list(make(seed=1).state_dict().values())
    flat = torch.cat([w.flatten() for w in weights])
    assert abs(flat.mean()) < 5 / len(flat) ** 0.5
    assert abs(flat.square().mean() - 1) < 5 * (2 / len(flat)) ** 0.5
    assert len(set(flat.tolist())) == len(flat)


def test_number_of_outputs_leaves_the_hidden_weights_alone():
    one = DEQNetwork(deq().spec, 5, 40, 1, seed=7)
    assert torch.equal(one.A, deq(seed=7).A)
    assert torch.equal(one.B, deq(seed=7).B)


@pytest.mark.parametrize(
    ("biased", "shapes"),
    [
        (biased_deq, {"A": (40, 40), "B": (40, 5), "readout.weight": (3, 40), "c": (40,)}),
        (
            biased_explicit,
            {
                "layers.0": (40, 5),
                "layers.1": (40, 40),
                "layers.2": (40, 40),
                "readout.weight": (3, 40),
                "biases.bias2": (40,),
                "biases.bias3": (40,),
            },
        ),
    ],
)
def test_biases_are_drawn_last(biased, shapes):
    """So a spec without bias has the weights that it had before there were biases."""
    generator, drawn = torch.Generator().manual_seed(7), biased(seed=7).state_dict()
    assert drawn.keys() == shapes.keys()
    for name, shape in shapes.items():
        assert torch.equal(drawn[name], torch.randn(*shape, generator=generator, dtype=torch.float64)), name


def test_without_a_bias_there_is_no_parameter_for_it():
    assert deq().c is None
    assert list(deq().state_dict()) == ["A", "B", "readout.weight"]
    assert list(explicit().state_dict()) == ["layers.0", "layers.1", "readout.weight"]


def test_float32_is_the_same_network_rounded(make):
    net, double = make(dtype=torch.float32), make()
    Z = net.features(batch())
    assert Z.dtype == torch.float32
    assert all(torch.equal(w, v.float()) for w, v in zip(net.parameters(), double.parameters(), strict=True))
    error = torch.linalg.norm(Z.double() - double.features(batch())) / torch.linalg.norm(Z.double())
    assert error < FLOAT32


def test_every_weight_is_trained(make):
    net = make()
    net(batch()).square().sum().backward()
    assert all(w.grad is not None and w.grad.abs().max() > 0 for w in net.parameters())


def test_a_copy_is_independent_and_equal(make):
    net = make()
    twin = copy.deepcopy(net)
    assert torch.equal(twin(batch()), net(batch()))
    with torch.no_grad():
        twin.readout.weight.zero_()
    assert net(batch()).abs().max() > 0


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.float64])
def test_arrays_are_converted(make, kind):
    X = np.round(4 * batch().numpy()).astype(kind)
    X.flags.writeable = False
    assert torch.equal(make()(X), make()(torch.tensor(X)))


def test_zero_sample_is_legal(make):
    assert torch.isfinite(make()(torch.zeros(1, 5))).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (torch.zeros(5), r"X must have shape \(n, 5\) with n >= 1, got \(5,\)"),
        (torch.zeros(2, 4), r"X must have shape \(n, 5\) with n >= 1, got \(2, 4\)"),
        (np.zeros((0, 5)), r"X must have shape \(n, 5\) with n >= 1, got \(0, 5\)"),
        (torch.zeros(2, 5, dtype=torch.complex64), "X must be real numbers, got dtype torch.complex64"),
        (np.zeros((2, 5), dtype=complex), "X must be real numbers, got dtype complex128"),
        (np.full((2, 5), "a"), "X must be real numbers, got dtype <U1"),
        (torch.zeros(2, 5, device="meta"), "X must be on the device of the network, cpu, got meta"),
        (np.array([[0.0] * 5, [np.nan] * 5]), r"X has NaN or infinite values \(1 samples, the first is row 1\)"),
        (torch.tensor([[0.0] * 4 + [torch.inf]]), r"X has NaN or infinite values \(1 samples, the first is row 0\)"),
    ],
)
def test_bad_batches(make, X, message):
    with pytest.raises(ValueError, match=message):
        make().features(X)


@pytest.mark.parametrize("cls", [DEQNetwork, ExplicitNetwork, ParallelNetwork])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_features": 0}, "in_features must be an integer >= 1, got 0"),
        ({"width": 2.5}, "width must be an integer >= 1, got 2.5"),
        ({"out_features": -1}, "out_features must be an integer >= 1, got -1"),
        ({"seed": None}, "seed must be an integer >= 0, got None"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"dtype": torch.float16}, r"dtype must be torch.float32 or torch.float64, got torch.float16"),
    ],
)
def test_bad_arguments(cls, arguments, message):
    spec = {DEQNetwork: DEQ(), ExplicitNetwork: MLP(Layer()), ParallelNetwork: Parallel(MLP(Layer()))}[cls]
    with pytest.raises(ValueError, match=message):
        cls(spec, **({"in_features": 5, "width": 4} | arguments))


def test_each_kind_wants_its_own_spec():
    with pytest.raises(ValueError, match="spec must be a DEQ, got MLP"):
        DEQNetwork(MLP((Layer(),)), 5, 4)
    with pytest.raises(ValueError, match="spec must be an MLP, got 'relu'"):
        ExplicitNetwork("relu", 5, 4)
    with pytest.raises(ValueError, match="spec must be an MLP, got Parallel"):
        ExplicitNetwork(parallel().spec, 5, 4)
    with pytest.raises(ValueError, match="spec must be a Parallel, got MLP"):
        ParallelNetwork(MLP((Layer(),)), 5, 4)


@pytest.mark.parametrize("seed", [2**32, 2**62, 2**62 + 2**32])
def test_long_seeds_are_read_whole(seed):
    """The generator of torch has 32 bits of a seed: the first draws of these would be those of seed 0."""
    first, long, same = (NormalWeights(each, torch.float64)(4, 4) for each in (0, seed, seed))
    assert not torch.equal(long, first)
    assert torch.equal(long, same)
