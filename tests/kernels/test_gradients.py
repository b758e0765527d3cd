"""Gradients of the exact kernels against finite differences of whole calls on other data and other specs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.kernels.gradients import at_variances, differentiable
from notsodeep.spec import trainable_weights
from tests.tolerances import (
    CUSP,
    FLOAT32,
    GRADCHECK_OF_KERNELS,
    KERNEL,
    KERNEL_DIFFERENCES,
    KERNEL_DIFFERENCES_CLOSE,
    assert_close,
)

pytestmark = pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")

NAMES = ("relu", "leaky_relu:slope=0.2", "tanh", "silu", "elu", "hardtanh", "erf", "gelu")
EVERY = pytest.mark.parametrize("name", NAMES)
STEP = 2e-3
VARIANCES = {"sigma_a2": 0.3, "sigma_b2": 0.7, "sigma_c2": 0.1}


def user(x):
    """A function of torch tensors with a kink away from 0."""
    return torch.tanh(x) + 0.3 * torch.abs(x - 0.5)


def samples(n=4, p=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.3 * rng.standard_normal(p)
    return torch.from_numpy(X * math.sqrt(n / (X**2).sum()))


def deq(name="tanh", center=True, **variances):
    return nsd.DEQ(name, center=center, **(VARIANCES | variances))


def attached(spec, X, Y=None, trainable="all", variances=None):
    """Return both kernels with a graph, as the public functions do for tensors that require gradients."""
    at = at_variances(spec, variances)
    solved = nsd.ck(at, X.detach(), None if Y is None else Y.detach())
    return differentiable(spec, X, Y, trainable_weights(at, trainable), variances, solved)


def weights(shape, seed=7):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def slope(f, h):
    """Return ``f'(0)`` by central differences of order six."""
    return (45.0 * (f(h) - f(-h)) - 9.0 * (f(2 * h) - f(-2 * h)) + (f(3 * h) - f(-3 * h))) / (60.0 * h)


def compare(spec, X, Y=None, *, along, along_y=None, trainable="all", h=STEP, bound=KERNEL_DIFFERENCES, variances=()):
    """Compare the directional derivatives of weighted sums of both kernels: in X, in Y, and in variances."""
    exact = nsd.kernels(spec, X, Y, trainable)
    w = weights(exact[0].shape)
    sizes = torch.stack([(w * matrix).abs().sum() for matrix in exact])

    def totals(spec, X, Y):
        return torch.stack([(w * matrix).sum() for matrix in nsd.kernels(spec, X, Y, trainable)])

    x, y = X.clone().requires_grad_(), None if Y is None else Y.clone().requires_grad_()
    given = {name: torch.tensor(getattr(spec, name), dtype=torch.float64, requires_grad=True) for name in variances}
    found = attached(spec, x, y, trainable, given or None)
    for matrix, want in zip(found, exact, strict=True):
        assert_close(matrix, want, KERNEL)
    leaves = [x, *([] if y is None else [y]), *given.values()]
    both = [torch.autograd.grad((w * matrix).sum(), leaves, retain_graph=True) for matrix in found]
    differences = [slope(lambda e: totals(spec, X + e * along, Y), h)]
    if y is not None:
        differences.append(slope(lambda e: totals(spec, X, Y + e * along_y), h))
    for name in given:
        differences.append(slope(lambda e, name=name: totals(moved(spec, name, e), X, Y), STEP))
    directions = [along, *([] if y is None else [along_y]), *(1.0 for _ in given)]
    for k, (want, direction) in enumerate(zip(differences, directions, strict=True)):
        got = torch.stack([(grads[k] * direction).sum() for grads in both])
        assert_close(got, want, bound, scale=sizes, what=f"derivative {k} of ck and ntk")


def moved(spec, name, by):
    """Return ``spec`` with another variance."""
    return dataclasses.replace(spec, **{name: getattr(spec, name) + by})


@EVERY
def test_gradients_in_samples_and_variances(name):
    X = samples()
    compare(deq(name), X, along=weights(X.shape, 1), variances=VARIANCES)


@pytest.mark.parametrize("name", ["relu", "silu", "elu"])
def test_gradients_without_centring(name):
    X = samples()
    compare(deq(name, center=False), X, along=weights(X.shape, 1), variances=VARIANCES)


@pytest.mark.parametrize("name", ["relu", "silu", "elu", "hardtanh"])
def test_gradients_of_samples_against_others(name):
    X, Y = samples(3), samples(2, seed=5)
    compare(deq(name), X, Y, along=weights(X.shape, 1), along_y=weights(Y.shape, 2), variances=("sigma_a2",))


@pytest.mark.parametrize("trainable", ["recurrent", "input", "bias", "readout", ("recurrent", "readout")], ids=str)
def test_gradients_of_every_part_of_the_ntk(trainable):
    X = samples()
    compare(deq("leaky_relu"), X, along=weights(X.shape, 1), trainable=trainable, variances=VARIANCES)


def test_gradients_without_recurrence():
    X = samples()
    compare(deq("gelu", sigma_a2=0.0), X, along=weights(X.shape, 1), variances=("sigma_b2", "sigma_c2"))


def test_gradients_of_a_user_function():
    X, phi = samples(3), nsd.Activation(user, kinks=(0.5,))
    compare(deq(phi), X, along=weights(X.shape, 1))


@pytest.mark.parametrize("trainable", ["all", ("branch1.layer1", "branch2.bias1"), "readout"], ids=str)
def test_gradients_of_parallel_branches(trainable):
    deep = nsd.MLP([nsd.Layer("relu", 2.0, 0.5), nsd.Layer("silu", 1.3, 2.0, bias_var=0.2)])
    par = nsd.Parallel((deep, nsd.MLP(nsd.Layer("tanh", 1.5, 0.3, bias_var=0.1))))
    X, Y = samples(3), samples(2, seed=5)
    compare(par, X, along=weights(X.shape, 1), trainable=trainable)
    compare(par, X, Y, along=weights(X.shape, 1), along_y=weights(Y.shape, 2), trainable=trainable)


def close(gap=1e-4):
    """Return samples of which two are close: ``1 - rho`` of them is ``gap``."""
    X = samples(4, seed=3)
    aside = X[1] - (X[1] @ X[0]) / (X[0] @ X[0]) * X[0]
    X[1] = X[0] + math.sqrt(2.0 * gap) * aside * (X[0].norm() / aside.norm())
    return X


@pytest.mark.parametrize("name", ["relu", "hardtanh", "tanh", "elu"])
def test_gradients_of_near_copies(name):
    X = close()
    compare(deq(name), X, along=weights(X.shape, 1), variances=("sigma_a2",), h=2e-5, bound=KERNEL_DIFFERENCES_CLOSE)


@pytest.mark.parametrize("name", ["relu", "hardtanh", "silu"])
def test_gradients_of_copies_that_stay_copies(name):
    X = samples(4, seed=3)
    X[2] = X[0]
    along = weights(X.shape, 1)
    along[2] = along[0]
    compare(deq(name), X, along=along, variances=VARIANCES)


@pytest.mark.parametrize("name", ["relu", "hardtanh", "elu:alpha=0.5", "tanh"])
def test_gradients_of_copies_are_those_of_the_middle_of_the_cone(name):
    """Where the NTK has a tip, central differences in any direction cancel what is even in the step."""
    X = samples(3, seed=3)
    X[2] = X[0]
    compare(deq(name), X, along=weights(X.shape, 1), h=1e-4, bound=CUSP)


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "erf"])
def test_gradients_of_opposite_samples(name):
    X = samples(4, seed=3)
    X[2] = -X[0]
    along = weights(X.shape, 1)
    along[2] = -along[0]
    compare(deq(name, sigma_c2=0.0), X, along=along, variances=("sigma_a2", "sigma_b2"))


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_gradients_close_to_the_limit_of_stability():
    X = samples(4, seed=3)
    compare(deq("relu", sigma_a2=1.6, sigma_b2=0.1), X, along=weights(X.shape, 1), variances=("sigma_a2",))


def mlp(first="relu", second="tanh"):
    return nsd.MLP([nsd.Layer(first, 2.0, 0.5), nsd.Layer(second, 1.3, 2.0, bias_var=0.2)])


@pytest.mark.parametrize(("first", "second"), [("relu", "tanh"), ("hardtanh", "silu")])
def test_gradients_of_explicit_networks(first, second):
    X, Y = samples(3), samples(2, seed=5)
    spec = mlp(first, second)
    compare(spec, X, along=weights(X.shape, 1))
    compare(spec, X, Y, along=weights(X.shape, 1), along_y=weights(Y.shape, 2))
    for name in ("layer1", "bias2", ("layer2", "readout")):
        compare(spec, X, along=weights(X.shape, 1), trainable=name)


def test_gradients_of_explicit_networks_at_copies():
    X = samples(4, seed=3)
    X[2] = X[0]
    along = weights(X.shape, 1)
    along[2] = along[0]
    compare(mlp(), X, along=along)
    compare(mlp(), close(), along=along, h=2e-5, bound=KERNEL_DIFFERENCES_CLOSE)


@pytest.mark.parametrize("spec", [deq("tanh"), deq("relu", center=False), mlp()], ids=["tanh", "relu", "mlp"])
def test_gradcheck(spec):
    X, Y = samples(2), samples(1, seed=5)
    leaves = X.clone().requires_grad_(), Y.clone().requires_grad_()
    tolerance = {"atol": GRADCHECK_OF_KERNELS, "rtol": GRADCHECK_OF_KERNELS}
    assert torch.autograd.gradcheck(lambda x: attached(spec, x), leaves[:1], **tolerance)
    assert torch.autograd.gradcheck(lambda x, y: attached(spec, x, y), leaves, **tolerance)


def evidence(K, y):
    """Log marginal likelihood of a Gaussian process with covariance ``K + 0.1 I``."""
    factor = torch.linalg.cholesky(K + 0.1 * torch.eye(len(K), dtype=K.dtype))
    whitened = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
    return -0.5 * whitened.square().sum() - factor.diagonal().log().sum()


@pytest.mark.parametrize("which", [0, 1], ids=["ck", "ntk"])
def test_gradient_of_the_evidence_of_a_gaussian_process(which):
    X, spec = samples(12, 4), deq("silu")
    y = torch.sin(2.0 * X[:, 0])
    given = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in VARIANCES.items()}
    evidence(attached(spec, X, variances=given)[which], y).backward()
    for name in VARIANCES:
        want = slope(lambda e, name=name: evidence(nsd.kernels(moved(spec, name, e), X)[which], y), STEP)
        assert_close(given[name].grad, want, KERNEL_DIFFERENCES, scale=len(X), what=name)


def test_many_samples_have_the_gradients_of_few():
    """Tables, blocks and long series serve many samples, other routes a few."""
    X = samples(200, 4, seed=8)
    for name in ("elu", "hardtanh"):
        found = []
        for rows in (slice(None), slice(0, 5)):
            x = X[rows].clone().requires_grad_()
            K = attached(deq(name), x)[1]
            K[:5, :5].sum().backward()
            found.append(x.grad[:5])
        assert_close(found[0], found[1], KERNEL_DIFFERENCES)


def test_dtypes_and_shapes():
    X = samples().to(torch.float32).requires_grad_()
    G, K = attached(deq(), X)
    assert G.dtype == K.dtype == torch.float64
    (G.sum() + K.sum()).backward()
    assert X.grad.dtype == torch.float32
    assert X.grad.abs().max() > 0
    if torch.cuda.is_available():
        there = samples().to(torch.float32).cuda().requires_grad_()
        G, K = attached(deq(), there)
        (G.sum() + K.sum()).backward()
        assert_close(there.grad, X.grad, FLOAT32)


def test_variances_replace_those_of_the_spec():
    X = samples()
    at = {"sigma_a2": torch.tensor(0.5), "sigma_c2": torch.tensor(0.2, dtype=torch.float64)}
    found = attached(deq("relu"), X, variances=at)
    want = nsd.kernels(deq("relu", sigma_a2=0.5, sigma_c2=0.2), X)
    for got, exact in zip(found, want, strict=True):
        assert_close(got, exact, KERNEL)


@pytest.mark.parametrize(
    ("variances", "message"),
    [
        ({"sigma_d2": torch.tensor(0.1)}, "names among .*'sigma_d2'"),
        ({"sigma_a2": 0.1}, r"variances\['sigma_a2'\] must be a floating-point tensor without axes, got 0.1"),
        ({"sigma_a2": torch.tensor([0.1])}, "without axes"),
        ({"sigma_a2": torch.tensor(1)}, "floating-point"),
        ({"sigma_a2": torch.tensor(-0.1)}, "sigma_a2 must be"),
        ([("sigma_a2", torch.tensor(0.1))], "variances must map names"),
    ],
)
def test_bad_variances(variances, message):
    with pytest.raises(ValueError, match=message):
        at_variances(deq(), variances)


def test_an_mlp_has_no_variances():
    with pytest.raises(ValueError, match="variances are those of a DEQ"):
        differentiable(mlp(), samples(), None, frozenset({"readout"}), {"sigma_a2": torch.tensor(0.1)}, None)


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match="ck must be the solved conjugate kernel"):
        differentiable(deq(), samples(), None, frozenset(), None, None)
    flat = nsd.Activation(lambda x: 0.0 * x, lambda x: 0.0 * x, second_derivative=lambda x: 0.0 * x)
    with pytest.raises(ValueError, match="no signal reaches"):
        differentiable(nsd.MLP([nsd.Layer(flat), nsd.Layer()]), samples(), None, frozenset(), None, None)
