"""Activations made from functions of one's own: the conformance kit, and every way to get one wrong."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from scipy import special

from notsodeep import spec
from notsodeep.activations import Activation, activation, moments
from notsodeep.errors import SmoothnessWarning
from tests.activations.conformance import ActivationConformance
from tests.reference.make_moments import gelu, silu, softsign, through_sigmoid
from tests.tolerances import EXACT, INTERPOLATED, ROUNDING, assert_close


def sech2(x):
    e = np.exp(-2.0 * np.abs(x))
    return 4.0 * e / (1.0 + e) ** 2


class TestNumpyOnly(ActivationConformance):
    """Neither torch nor a derivative: interpolation differentiates."""

    precision = INTERPOLATED
    floor = 1.0

    @pytest.fixture
    def phi(self):
        return Activation(lambda x: x * special.ndtr(np.asarray(x)))

    @pytest.fixture
    def naive(self):
        return gelu


class TestNumpyOnlyWithKink(ActivationConformance):
    precision = INTERPOLATED
    floor = 1.0

    @pytest.fixture
    def phi(self):
        return Activation(lambda x: np.asarray(x) / (1.0 + np.abs(np.asarray(x))), kinks=(0.0,))

    @pytest.fixture
    def naive(self):
        return softsign


class TestTorchOnly(ActivationConformance):
    """Autograd differentiates, for NumPy arrays too."""

    @pytest.fixture
    def phi(self):
        return Activation(torch.nn.functional.silu)

    @pytest.fixture
    def naive(self):
        return through_sigmoid(silu)


class TestBothKinds(ActivationConformance):
    """Plain arithmetic serves both kinds of array; the derivative is given."""

    @pytest.fixture
    def phi(self):
        return Activation(lambda x: x / (1 + x * x), lambda x: (1 - x * x) / (1 + x * x) ** 2)

    @pytest.fixture
    def naive(self):
        def rational(x):
            low = 1 + x * x
            return x / low, (1 - x * x) / low**2, 2 * x * (x * x - 3) / low**3

        return rational


class TestEverythingGiven(ActivationConformance):
    """A kink of the third derivative, away from 0, with both derivatives given."""

    @pytest.fixture
    def phi(self):
        return Activation(
            lambda x: np.maximum(x - 0.5, 0.0) ** 2 + np.tanh(x),
            lambda x: 2 * np.maximum(x - 0.5, 0.0) + sech2(x),
            (0.5,),
            lambda x: 2.0 * (np.asarray(x) > 0.5) - 2 * np.tanh(x) * sech2(x),
        )

    @pytest.fixture
    def naive(self):
        def sum_of_two(x):
            bend, t = max(x - mpf(0.5), mpf(0)), mp.tanh(x)
            bell = 1 / mp.cosh(x) ** 2
            return bend**2 + t, 2 * bend + bell, 2 * (bend > 0) - 2 * t * bell

        return sum_of_two


def test_functions_of_one_kind_serve_the_other():
    x = np.linspace(-2, 2, 5)
    numpy_only, torch_only = Activation(np.arctan), Activation(torch.arctan)
    assert_close(numpy_only(torch.from_numpy(x)), np.arctan(x), 0.0)
    assert_close(torch_only(x), np.arctan(x), EXACT)
    assert isinstance(torch_only(x), np.ndarray)
    assert isinstance(numpy_only(torch.from_numpy(x)), torch.Tensor)


def test_a_function_that_computes_in_another_precision_keeps_that_of_its_argument():
    phi = Activation(lambda x: torch.tanh(x.double()))
    x = torch.linspace(-2.0, 2.0, 5, requires_grad=True)
    assert phi(x).dtype == phi.derivative(x).dtype == torch.float32
    assert torch.autograd.grad(phi(x).sum(), x)[0].dtype == torch.float32


def test_second_order_autograd_passes_through_an_undifferentiated_function():
    x = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    (bend,) = torch.autograd.grad(Activation(torch.tanh).derivative(x).sum(), x)
    t = np.tanh([0.3, -1.2])
    assert_close(bend, -2 * t * (1 - t**2), ROUNDING)


def test_constant_function_has_derivative_zero():
    for fn in (torch.ones_like, np.ones_like):
        assert_close(Activation(fn).derivative(np.array([-1.0, 2.0])), [0.0, 0.0], INTERPOLATED, scale=1.0)


@pytest.mark.parametrize("kink", [0.0, 0.5])
@pytest.mark.parametrize("what", [lambda phi: moments(phi, 1.0), lambda phi: phi.derivative(1.5)])
def test_undeclared_kink_warns(what, kink):
    def bent(x):
        return np.abs(np.asarray(x) - kink)

    with pytest.warns(SmoothnessWarning, match="declare it: kinks="):
        what(Activation(bent))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        what(Activation(bent, kinks=(kink,)))


def test_undeclared_jump_warns():
    with pytest.warns(SmoothnessWarning, match="not smooth near x ="):
        moments(
            Activation(np.sign, lambda x: 0.0 * np.asarray(x), second_derivative=lambda x: 0.0 * np.asarray(x)), 1.0
        )


def test_kinks_are_sorted_and_unique():
    assert Activation(np.tanh, kinks=(1, -1.0, 1.0)).kinks == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": 3}, "fn must be callable, got 3"),
        ({"fn": None}, "fn must be callable, got None"),
        ({"fn": np.sum}, "fn must map an array to an array of the same shape: .* came back with shape \\(\\)"),
        ({"fn": lambda x: np.outer(x, x)}, "came back with shape \\(4, 4\\)"),
        ({"fn": lambda x: np.asarray(x) + 1j}, "dtype complex128"),
        ({"fn": lambda x: x.missing}, "fn must map an array .*: AttributeError"),
        ({"fn": lambda x: np.full(np.shape(x), np.nan)}, "fn gives NaN or infinity at \\[-1.37"),
        ({"fn": lambda x: 0.0 * np.asarray(x) + math.inf}, "fn gives NaN or infinity"),
        ({"fn": np.tanh, "derivative": 3}, "derivative must be callable, got 3"),
        ({"fn": np.tanh, "derivative": np.sum}, "derivative must map an array"),
        ({"fn": np.tanh, "second_derivative": np.sum}, "second_derivative must map an array"),
        ({"fn": np.tanh, "kinks": (math.inf,)}, "kinks must be a finite number, got inf"),
        ({"fn": np.tanh, "kinks": ("here",)}, "kinks must be a number, got 'here'"),
        ({"fn": np.tanh, "offset": math.nan}, "offset must be a finite number, got nan"),
    ],
)
def test_illegal_functions(arguments, message):
    with pytest.raises(ValueError, match=message):
        Activation(**arguments)


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # by torch, when math.tanh takes a number out of one
def test_functions_of_one_number_are_refused():
    with pytest.raises(ValueError, match="fn must map an array to an array of the same shape"):
        Activation(math.tanh)


def test_custom_activations_are_not_written_down():
    phi = Activation(np.tanh)
    assert not phi.is_registered
    with pytest.raises(ValueError, match="made from a callable and cannot be written down"):
        spec.to_dict(spec.DEQ(phi))


@pytest.mark.parametrize("wrong", [{"derivative": np.cos}, {"derivative": np.tanh}])
def test_a_wrong_derivative_is_refused(wrong):
    with pytest.raises(ValueError, match=r"derivative is .* central differences give"):
        Activation(np.tanh, **wrong)


def test_a_wrong_second_derivative_is_refused():
    with pytest.raises(ValueError, match=r"second_derivative is .* central differences give"):
        Activation(np.sin, np.cos, second_derivative=np.sin)


def test_a_borrowed_name_is_no_registration():
    borrowed = Activation(torch.tanh, name="relu")
    assert not borrowed.is_registered
    with pytest.raises(ValueError, match="made from a callable"):
        spec.to_dict(spec.DEQ(borrowed))


@pytest.mark.parametrize("name", ["relu", "sin", "hermite", "elu:alpha=0.5", "two_slope:a=2,b=0.5,tau=1"])
def test_registered_activations_pickle_and_copy_to_themselves(name):
    phi = activation(name).shifted(0.25)
    assert pickle.loads(pickle.dumps(phi)) == phi == copy.deepcopy(phi)  # noqa: S301


def test_warnings_point_at_the_caller():
    with pytest.warns(SmoothnessWarning) as caught:
        moments(Activation(lambda x: np.abs(np.asarray(x))), 1.0)
    assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}
    assert "near x = 0;" in str(caught[0].message)
