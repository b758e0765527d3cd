"""What the kernel functions take, refuse and warn about."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.errors import ScaleWarning, StabilityWarning
from tests.tolerances import EXACT, assert_close

DEQ = nsd.DEQ("relu")
MLP = nsd.MLP([nsd.Layer("relu", 2.0), nsd.Layer("tanh")])
SPECS = pytest.mark.parametrize("spec", [DEQ, MLP], ids=["deq", "mlp"])
CALLS = {
    "ck": nsd.ck,
    "ntk": nsd.ntk,
    "kernels": nsd.kernels,
    "diagonals": nsd.kernels.diagonals,
}
ALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
OF_TWO = pytest.mark.parametrize("call", [nsd.ck, nsd.ntk, nsd.kernels], ids=["ck", "ntk", "kernels"])


def unit(n=4, p=3, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, p))
    return X / np.linalg.norm(X, axis=1)[:, None]


BAD = {
    "a vector": (np.ones(3), r"X must have shape \(n, p\), got \(3,\)"),
    "a cube": (np.ones((2, 2, 2)), r"X must have shape \(n, p\)"),
    "no samples": (np.ones((0, 3)), "X must have n >= 1"),
    "no features": (np.ones((3, 0)), "p >= 1"),
    "nan": (np.array([[1.0, 0.0], [np.nan, 1.0]]), r"X has NaN or infinite values \(1 samples, the first is row 1\)"),
    "infinity": (np.array([[1.0, np.inf]]), "X has NaN or infinite values"),
    "a zero sample": (np.array([[1.0, 0.0], [0.0, 0.0]]), "X has 1 all-zero samples .the first is row 1."),
    "text": (np.array([["a", "b"]]), "X must be real numbers"),
    "complex": (np.array([[1j, 1.0]]), "X must be real numbers"),
    "nothing": (None, "X must have shape"),
}


@ALL
@pytest.mark.parametrize("kind", BAD)
def test_bad_samples(call, kind):
    value, message = BAD[kind]
    with pytest.raises(ValueError, match=message):
        call(DEQ, value)


@OF_TWO
@pytest.mark.parametrize("kind", [k for k in BAD if k != "nothing"])
def test_bad_second_samples_are_named(call, kind):
    value, message = BAD[kind]
    with pytest.raises(ValueError, match=message.replace("X ", "Y ", 1)):
        call(DEQ, unit(), value)


@ALL
def test_bad_tensors(call):
    with pytest.raises(ValueError, match="X has NaN"):
        call(DEQ, torch.tensor([[1.0, float("nan")]]))


@OF_TWO
def test_numbers_of_features_differ(call):
    with pytest.raises(ValueError, match="X and Y must have as many features, got 3 and 2"):
        call(DEQ, unit(p=3), unit(p=2))


@ALL
@pytest.mark.parametrize("spec", ["relu", None, nsd.Layer("relu"), nsd.activation("relu"), 3])
def test_not_a_spec(call, spec):
    with pytest.raises(ValueError, match="spec must be"):
        call(spec, unit())


@pytest.mark.parametrize("call", [nsd.ntk, nsd.kernels, nsd.kernels.diagonals], ids=["ntk", "kernels", "diagonals"])
@pytest.mark.parametrize("trainable", ["layer1", "everything", ("input", "bias"), (), 1, None])
def test_unknown_weights(call, trainable):
    with pytest.raises(ValueError, match="trainable must be"):
        call(DEQ, unit(), trainable=trainable)


def test_weights_of_an_mlp_are_its_layers():
    with pytest.raises(ValueError, match=r"'layer1', 'layer2', 'readout'.*'layer3'"):
        nsd.ntk(MLP, unit(), trainable="layer3")


def test_no_fixed_point():
    with pytest.raises(ValueError, match="no stable kernel fixed point"):
        nsd.ck(nsd.DEQ("relu", sigma_a2=5.0), unit())


@pytest.mark.parametrize("factor", [0.9, 1.06])
@ALL
def test_samples_off_the_scale_are_warned_about(call, factor):
    with pytest.warns(ScaleWarning, match="tau0") as seen:
        call(DEQ, unit() * factor)
    assert len(seen) == 1
    assert seen[0].filename == __file__


@ALL
@pytest.mark.parametrize("factor", [0.98, 1.0, 1.02])
def test_samples_near_the_scale_are_not(call, factor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(DEQ, unit() * factor)
        call(MLP, unit() * 3.0)  # an MLP is made for no scale


def test_the_advice_of_the_warning_works():
    X = unit() * 1.3
    with pytest.warns(ScaleWarning, match=r"multiply .* by 0\.769231, or set tau0=1\.3"):
        nsd.ck(DEQ, X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nsd.ck(DEQ, X * 0.769231)
        nsd.ck(nsd.DEQ("relu", tau0=1.3), X)


def test_no_global_contraction_is_warned_about():
    with pytest.warns(StabilityWarning, match=r"sigma_a2 L\^2 = 1\.2"):
        nsd.ck(nsd.DEQ("relu", sigma_a2=1.2, sigma_b2=0.1), unit())


@SPECS
@pytest.mark.parametrize("kind", ["float32", "int64", "bool", "list", "read-only", "columns", "tensor32", "gradient"])
def test_kinds_of_input(spec, kind):
    whole = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    given = {
        "float32": whole.astype(np.float32),
        "int64": whole,
        "bool": whole.astype(bool),
        "list": whole.tolist(),
        "read-only": np.broadcast_to(whole.astype(float), (3, 3)),
        "columns": np.asfortranarray(whole, dtype=float),
        "tensor32": torch.tensor(whole, dtype=torch.float32),
        "gradient": torch.tensor(whole, dtype=torch.float64, requires_grad=True),
    }[kind]
    K = nsd.ntk(spec, given)
    assert isinstance(K, torch.Tensor) == isinstance(given, torch.Tensor)
    assert_close(K, nsd.ntk(spec, whole.astype(float)), EXACT)


@SPECS
def test_single_precision_is_read_exactly_and_answered_in_double(spec):
    X = unit().astype(np.float32)
    K = nsd.ck(spec, X)
    assert K.dtype == np.float64
    np.testing.assert_array_equal(K, nsd.ck(spec, X.astype(np.float64)))


@SPECS
def test_the_kind_of_the_first_argument_counts(spec):
    X, Y = unit(4), unit(2, seed=1)
    mixed = nsd.ck(spec, torch.from_numpy(X), Y)
    assert isinstance(mixed, torch.Tensor)
    np.testing.assert_array_equal(mixed.numpy(), nsd.ck(spec, X, torch.from_numpy(Y)))


@SPECS
def test_the_same_samples_twice_is_the_square_matrix(spec):
    X = unit()
    for square, again in zip(nsd.kernels(spec, X), nsd.kernels(spec, X, X), strict=True):
        np.testing.assert_array_equal(square, again)
    for square, copied in zip(nsd.kernels(spec, X), nsd.kernels(spec, X, X.copy()), strict=True):
        assert_close(copied, square, 1e-13)


@SPECS
def test_transposing_swaps_the_samples(spec):
    X, Y = unit(4), unit(7, seed=1)
    for there, back in zip(nsd.kernels(spec, X, Y), nsd.kernels(spec, Y, X), strict=True):
        assert there.shape == (4, 7)
        assert_close(there, back.T, 1e-14)


def test_a_layer_that_gets_no_signal_is_named():
    dead = nsd.MLP([nsd.Layer(nsd.activation("three_slope", left=0.0, middle=0.0, right=0.0)), nsd.Layer("tanh")])
    with pytest.raises(ValueError, match=r"no signal reaches .*tanh"):
        nsd.ck(dead, unit())


def test_functions_that_jump_are_refused_with_the_remedy():
    step = nsd.Activation(np.sign, lambda x: 0.0 * x, kinks=(0.0,))
    with pytest.raises(ValueError, match="itself jumps at 0: give its derivative and second_derivative"):
        nsd.ck(nsd.MLP(nsd.Layer(step)), unit())


def test_tangent_kernel_of_a_function_that_jumps_is_refused():
    """Its diagonal is infinite, and E[phi' phi'] has point masses that no quadrature of phi' sees."""
    step = nsd.Activation(
        lambda x: np.sign(x) + 0.5 * x, lambda x: 0.0 * x + 0.5, kinks=(0.0,), second_derivative=lambda x: 0.0 * x
    )
    mlp, X = nsd.MLP([nsd.Layer("tanh"), nsd.Layer(step)]), unit()
    with pytest.raises(ValueError, match=r"NTK is infinite on its diagonal: the activation of layer 2, .*jumps"):
        nsd.ntk(mlp, X)
    np.testing.assert_array_equal(nsd.ntk(mlp, X, trainable="readout"), nsd.ck(mlp, X))


def test_kernels_are_differentiable_where_a_gradient_is_asked_for():
    X = torch.from_numpy(unit(5)).requires_grad_()
    K = nsd.ntk(DEQ, X)
    assert K.requires_grad
    assert not nsd.ntk(DEQ, X.detach()).requires_grad
    with torch.no_grad():
        assert not nsd.ntk(DEQ, X).requires_grad
    K.sum().backward()
    assert X.grad.shape == X.shape
    assert torch.isfinite(X.grad).all()


def test_variances_are_taken_in_place_of_those_of_the_spec():
    a2 = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    c2 = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    found = nsd.kernels(DEQ, unit(), variances={"sigma_a2": a2, "sigma_c2": c2})
    for K, plain in zip(found, nsd.kernels(nsd.DEQ("relu", 0.3, sigma_c2=0.1), unit()), strict=True):
        assert_close(K, plain, 1e-13)
    found[1].sum().backward()
    assert float(a2.grad) > 0
    assert float(c2.grad) > 0


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (DEQ, {"variances": {"sigma": torch.tensor(0.1)}}, "variances must have names among"),
        (DEQ, {"variances": {"sigma_a2": 0.1}}, "must be a floating-point tensor"),
        (DEQ, {"variances": {"sigma_a2": torch.tensor(-0.1)}}, "sigma_a2 must be"),
        (DEQ, {"variances": {"sigma_a2": torch.tensor(0.1)}, "dtype": "float32"}, "kernels with gradients are float64"),
        (MLP, {"variances": {"sigma_a2": torch.tensor(0.1)}}, "variances are those of a DEQ"),
        (DEQ, {"dtype": "half"}, "dtype must be one of"),
    ],
)
def test_bad_options(spec, options, message):
    with pytest.raises(ValueError, match=message):
        nsd.ck(spec, unit(), **options)
