"""Networks as functions: torch.func, higher and forward derivatives, compilers, precisions, and the three gradients."""

import math

import pytest
import torch
from torch.func import functional_call, hessian, jacfwd, jacrev, vmap

from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork, empirical_ck, empirical_ntk
from notsodeep.networks.equilibrium import GRADIENTS
from notsodeep.networks.solvers import SOLVERS
from notsodeep.spec import DEQ, MLP, Layer, Parallel
from tests.tolerances import COMPILED, FUNCTIONAL, GRADCHECK, GRADCHECK_RELATIVE, IMPLICIT, UNROLLED_AS_SOLVED

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # inside torch

WEIGHTS = ("recurrent", "input", "bias", "readout")


def batch(n=3, p=4):
    X = torch.randn(n, p, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return X / X.norm(dim=1, keepdim=True)


def network(activation="tanh", sigma_a2=0.4, width=9, out=2, sigma_c2=0.2, **options):
    spec = DEQ(activation, sigma_a2=sigma_a2, sigma_b2=0.8, sigma_c2=sigma_c2)
    return DEQNetwork(spec, 4, width, out, seed=1, **options)


def split(net):
    """Return the weights of a network and the network as a function of them and of one sample."""
    values = {name: value.detach() for name, value in net.named_parameters()}
    return values, lambda weights, x: functional_call(net, weights, (x[None],))[0]


def others():
    yield ExplicitNetwork(MLP((Layer("silu", bias_var=0.1), Layer("tanh"))), 4, 9, 2, seed=1)
    yield ParallelNetwork(Parallel((MLP(Layer("tanh")), MLP((Layer("silu"), Layer("silu"))))), 4, 9, 2, seed=1)


@pytest.mark.parametrize("net", [*(network(solver=s) for s in SOLVERS), *others()], ids=[*SOLVERS, "mlp", "parallel"])
def test_jacobians_of_each_sample_by_vmap(net):
    values, call = split(net)
    X = batch()
    backward, forward = (vmap(jac(call), (None, 0))(values, X) for jac in (jacrev, jacfwd))
    weights = list(net.parameters())
    looped = [[torch.autograd.grad(net(X)[i, k], weights) for k in range(2)] for i in range(3)]
    for j, name in enumerate(values):
        wanted = torch.stack([torch.stack([looped[i][k][j] for k in range(2)]) for i in range(3)])
        for got in (backward[name], forward[name]):
            torch.testing.assert_close(got, wanted, rtol=0, atol=FUNCTIONAL)


@pytest.mark.parametrize("gradient", ["one_step", "unrolled"])
def test_other_gradients_under_transformations(gradient):
    net = network(gradient=gradient)
    values, call = split(net)
    X = batch()
    backward, forward = (vmap(jac(call), (None, 0))(values, X) for jac in (jacrev, jacfwd))
    rows = [[torch.autograd.grad(net(X)[i, k], net.A)[0] for k in range(2)] for i in range(3)]
    wanted = torch.stack([torch.stack(row) for row in rows])
    bound = FUNCTIONAL if gradient == "one_step" else UNROLLED_AS_SOLVED  # alone a sample may take fewer iterations
    for got in (backward["A"], forward["A"]):
        torch.testing.assert_close(got, wanted, rtol=0, atol=bound)


def test_vmap_over_networks_is_a_loop_over_networks():
    X = batch()
    nets = [network(), DEQNetwork(network().spec, 4, 9, 2, seed=7)]
    stacked = {
        name: torch.stack([dict(net.named_parameters())[name].detach() for net in nets]) for name in split(nets[0])[0]
    }
    got = vmap(lambda weights: functional_call(nets[0], weights, (X,)))(stacked)
    for net, own in zip(nets, got, strict=True):
        torch.testing.assert_close(own, net(X).detach(), rtol=0, atol=FUNCTIONAL)


@pytest.mark.parametrize(("activation", "solver"), [("tanh", "plain"), ("silu", "anderson"), ("sigmoid", "broyden")])
def test_second_derivatives_and_forward_mode(activation, solver):
    net = network(activation, width=4, out=1, solver=solver)
    names = [name for name, _ in net.named_parameters()]
    given = (batch(2).requires_grad_(), *(w.detach().clone().requires_grad_() for w in net.parameters()))

    def outputs(X, *values):
        return functional_call(net, dict(zip(names, values, strict=True)), (X,))

    bounds = {"atol": GRADCHECK, "rtol": GRADCHECK_RELATIVE}
    assert torch.autograd.gradcheck(outputs, given, check_forward_ad=True, **bounds)
    assert torch.autograd.gradgradcheck(outputs, given, fast_mode=True, **bounds)


def test_hessians_by_two_routes():
    values, call = split(network("silu"))
    function = lambda x: call(values, x).sum()  # noqa: E731
    H = hessian(function)(batch()[0])
    torch.testing.assert_close(H, jacrev(jacrev(function))(batch()[0]), rtol=0, atol=10 * FUNCTIONAL)
    torch.testing.assert_close(H, H.T, rtol=0, atol=10 * FUNCTIONAL)


def test_infinite_values_are_found_under_vmap():
    values, call = split(network())
    X = batch()
    X[1, 2] = math.nan
    with pytest.raises(ValueError, match="X has NaN or infinite values"):
        vmap(call, (None, 0))(values, X)


def unrolled_to_the_end(net, X):
    """Return the gradients of a loss by backpropagation through 400 iterations."""
    X, Z = X.clone().requires_grad_(), torch.zeros(len(X), net.width, dtype=X.dtype)
    for _ in range(400):
        U = math.sqrt(net.spec.sigma_a2) * Z @ net.A.T + math.sqrt(0.8) * X @ net.B.T + math.sqrt(0.2) * net.c
        Z = net.activation(U) / math.sqrt(net.width)
    loss = (Z @ net.readout.weight.T).square().sum()
    return torch.autograd.grad(loss, [net.A, net.B, net.c, net.readout.weight, X])


@pytest.mark.parametrize("solver", list(SOLVERS))
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_gradients_of_every_weight_are_those_of_unrolling(activation, solver):
    for gradient, bound in (("implicit", IMPLICIT), ("unrolled", UNROLLED_AS_SOLVED)):
        net, X = network(activation, 0.6, width=60, solver=solver, gradient=gradient), batch(5).requires_grad_()
        wanted = unrolled_to_the_end(net, X.detach())
        got = torch.autograd.grad(net(X).square().sum(), [net.A, net.B, net.c, net.readout.weight, X])
        for name, mine, its in zip((*WEIGHTS, "X"), got, wanted, strict=True):
            error = float((mine - its).norm() / its.norm())
            assert error <= bound, f"{gradient} gradient of {name}: {error:.1e}"


def test_the_one_step_gradient_is_that_of_the_last_application():
    net, X = network("tanh", 0.6, width=60, gradient="one_step"), batch(5)
    exact = network("tanh", 0.6, width=60)
    Z, _ = net.solve(X)
    U = math.sqrt(0.6) * Z @ net.A.T + math.sqrt(0.8) * X @ net.B.T + math.sqrt(0.2) * net.c
    loss = ((torch.tanh(U) / math.sqrt(60)) @ net.readout.weight.T).square().sum()
    wanted = torch.autograd.grad(loss, [net.A, net.B, net.c, net.readout.weight])
    got = torch.autograd.grad(net(X).square().sum(), [net.A, net.B, net.c, net.readout.weight])
    full = torch.autograd.grad(exact(X).square().sum(), [exact.A, exact.B, exact.c, exact.readout.weight])
    for mine, its in zip(got, wanted, strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=FUNCTIONAL)
    assert float((got[0] - full[0]).norm() / full[0].norm()) > 0.1  # which is not the gradient
    torch.testing.assert_close(got[3], full[3], rtol=0, atol=FUNCTIONAL)  # but for the readout


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_all_gradients_belong_to_the_same_states(gradient):
    torch.testing.assert_close(network(gradient=gradient)(batch()), network()(batch()), rtol=0, atol=FUNCTIONAL)


@pytest.mark.parametrize("options", [{"solver": "newton"}, {"gradient": "exact"}], ids=str)
def test_unknown_options_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        network(**options)


@pytest.mark.filterwarnings("default")  # the compiler warns about itself
@pytest.mark.parametrize("net", [network("gelu"), next(others())], ids=["deq", "mlp"])
def test_compiled_networks_give_the_same_values_and_gradients(net):
    torch.compiler.reset()
    compiled = torch.compile(net, backend="aot_eager")
    output = compiled(batch())
    output.square().sum().backward()
    got = [w.grad.clone() for w in net.parameters()]
    net.zero_grad()
    net(batch()).square().sum().backward()
    torch.testing.assert_close(output, net(batch()), rtol=0, atol=COMPILED)
    for mine, w in zip(got, net.parameters(), strict=True):
        torch.testing.assert_close(mine, w.grad, rtol=0, atol=COMPILED)


@pytest.mark.parametrize("net", [network(), *others()], ids=["deq", "mlp", "parallel"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(net, dtype):
    from copy import deepcopy

    half = deepcopy(net).to(dtype)
    with pytest.raises(ValueError, match=f"networks compute in torch.float32 or torch.float64, got weights of {dtype}"):
        half(batch().to(dtype))


def test_autocast_leaves_the_equilibrium_in_the_precision_of_the_network():
    net = network("silu", width=40, dtype=torch.float32)
    wanted = net.features(batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = net.features(batch())
        solved, _ = net.solve(batch())
    assert torch.equal(got, wanted)
    assert torch.equal(solved, wanted)


def test_autocast_leaves_gradients_and_kernels_in_the_precision_of_the_network():
    net, X = network("silu", width=40, dtype=torch.float32), batch()
    plain = torch.autograd.grad(net.features(X).square().sum(), net.A)[0]
    kernels = empirical_ck(net, X), empirical_ntk(net, X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(torch.autograd.grad(net.features(X).square().sum(), net.A)[0], plain)
        for got, wanted in zip((empirical_ck(net, X), empirical_ntk(net, X)), kernels, strict=True):
            assert torch.equal(got, wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("solver", list(SOLVERS))
def test_cuda_gives_the_states_and_gradients_of_the_cpu(solver):
    net = network("tanh", 0.6, width=60, solver=solver)
    net(batch()).square().sum().backward()
    wanted = [w.grad.clone() for w in net.parameters()]
    states = net.features(batch()).detach()
    net.zero_grad()
    net.cuda()
    torch.testing.assert_close(net.features(batch().cuda()).detach().cpu(), states, rtol=0, atol=IMPLICIT)
    net(batch().cuda()).square().sum().backward()
    for mine, its in zip(net.parameters(), wanted, strict=True):
        torch.testing.assert_close(mine.grad.cpu(), its, rtol=IMPLICIT, atol=IMPLICIT)
