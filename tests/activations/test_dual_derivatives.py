"""Derivatives of the bivariate expectations: they must integrate back to differences of the exact values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial import legendre

import notsodeep as nsd
from notsodeep.activations import moments
from notsodeep.activations.duals import Dual
from notsodeep.activations.duals.curvature import by_quadrature, second_derivative
from notsodeep.activations.duals.differentiable import dual, fixed_point, squares
from notsodeep.activations.duals.partials import PairPartials
from notsodeep.activations.hermite import coefficients
from notsodeep.errors import ConvergenceError
from tests.tolerances import (
    GRADCHECK,
    GRADCHECK_RELATIVE,
    INTEGRATED_BACK,
    INTERPOLATED_CURVATURE,
    PARTIALS,
    assert_close,
)

NAMES = (
    "abs",
    "cos",
    "elu",
    "elu:alpha=0.5",
    "erf",
    "gelu",
    "hardtanh",
    "hermite:coefficients=0.1/0.8/0.3/-0.2",
    "identity",
    "leaky_relu:slope=0.2",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "soft_slopes:left=0.2,middle=1.1,right=-0.3,knot=0.8,width=0.4",
    "softplus",
    "softsign",
    "tanh",
    "three_slope:left=0.2,middle=1.1,right=-0.3,knot=0.8",
)
CLOSED = (
    "cos",
    "erf",
    "hardtanh",
    "leaky_relu:slope=0.2",
    "relu",
    "sin",
    NAMES[-1],
    NAMES[NAMES.index("softplus") - 1],
)
CLOSE = (*CLOSED, "elu", "elu:alpha=0.5", "gelu", "selu", "silu", "tanh")
EVERY = pytest.mark.parametrize("name", NAMES)


def bent(xp):
    """Return a function with a kink and a jump of curvature away from 0, of arrays of one library."""

    def fn(x):
        return xp.tanh(x) + 0.5 * xp.abs(x - 0.4) - 0.3 * (x + 0.9).clip(min=0) ** 2

    return fn


CALLABLES = {
    "torch": nsd.Activation(bent(torch), kinks=(-0.9, 0.4)),
    "numpy": nsd.Activation(bent(np), kinks=(-0.9, 0.4)),
}


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def values(phi, q, p, c):
    """Return V and D for 1-D variances and covariances, pair by pair."""
    k = torch.arange(len(q))
    s, t = q.sqrt(), p.sqrt()
    return torch.stack(Dual(phi, s, t)(k, k, (c / (s * t)).clamp(-1.0, 1.0)))


def partials(phi, q, p, c):
    k = torch.arange(len(q))
    s, t = q.sqrt(), p.sqrt()
    return PairPartials(phi, s, t)(k, k, (c / (s * t)).clamp(-1.0, 1.0))


def path(angles, sign):
    """Return q, q' and c, and their derivatives, along a path whose correlation is ``sign * cos(angle)``."""
    x = angles
    q, dq = 1.3 + 0.4 * torch.sin(3.0 * x), 1.2 * torch.cos(3.0 * x)
    p, dp = q * (1.0 + 0.5 * x), dq * (1.0 + 0.5 * x) + 0.5 * q
    c = sign * (q * p).sqrt() * torch.cos(x)
    dc = c * 0.5 * (dq / q + dp / p) - sign * (q * p).sqrt() * torch.sin(x)
    return (q, p, c), (dq, dp, dc)


def steps(low, high, panels, order):
    """Gauss-Legendre nodes and weights on panels of equal ratio."""
    ends = np.geomspace(low, high, panels + 1)
    nodes, weights = legendre.leggauss(order)
    half = 0.5 * np.diff(ends)[:, None]
    return torch.from_numpy((ends[:-1, None] + half * (1.0 + nodes)).ravel()), torch.from_numpy(
        (half * weights).ravel()
    )


def integrated(phi, sign, low, high, panels, order):
    """Return the differences of V and D between the ends of a path, the integrals of their derivatives, and sizes."""
    nodes, weights = steps(low, high, panels, order)
    at, (dq, dp, dc) = path(nodes, sign)
    found, slope = partials(phi, *at), values(phi, *at)[1]
    rates = (
        found.value_rows * dq + found.value_columns * dp + slope * dc,
        found.slope_rows * dq + found.slope_columns * dp + found.slope_covariance * dc,
    )
    q, p, c = path(tensor(low, high), sign)[0]
    ends, sizes = values(phi, q, p, c), values(phi, q, q, q)
    return ends[:, 1] - ends[:, 0], torch.stack([(weights * rate).sum() for rate in rates]), sizes[:, 1]


@EVERY
def test_derivatives_integrate_back(name):
    want, got, size = integrated(nsd.activation(name).shifted(-0.13), 1.0, 0.3, 2.0, panels=3, order=14)
    assert_close(got, want, INTEGRATED_BACK, scale=size, what=name)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", CLOSE)
def test_derivatives_integrate_back_to_nearly_one(name, sign):
    want, got, size = integrated(nsd.activation(name).shifted(-0.13), sign, 1e-4, 0.1, panels=2, order=8)
    assert_close(got, want, INTEGRATED_BACK, scale=size, what=name)


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_of_closed_forms_integrate_back_to_correlations_that_round_to_one(name):
    want, got, size = integrated(nsd.activation(name), 1.0, 1e-5, 1e-3, panels=3, order=14)
    assert_close(got, want, INTEGRATED_BACK, scale=size, what=name)


def test_derivatives_of_a_callable_integrate_back():
    want, got, size = integrated(CALLABLES["torch"], 1.0, 0.02, 0.3, panels=1, order=12)
    assert_close(got, want, INTEGRATED_BACK, scale=size)


@pytest.mark.parametrize("rho", [-0.6, 1.0 - 1e-7])
def test_a_callable_of_numpy_arrays_has_the_same_derivatives(rho):
    q, p = tensor(0.8), tensor(1.1)
    got, want = (partials(CALLABLES[kind], q, p, rho * (q * p).sqrt()) for kind in ("numpy", "torch"))
    for field in want._fields:
        assert_close(getattr(got, field), getattr(want, field), INTERPOLATED_CURVATURE, what=field)


def agree(name, rho):
    phi = nsd.activation(name).shifted(0.2)
    s, t = tensor(1.0, 0.5, 1.7), tensor(1.0, 1.5, 1.69)
    want, got = partials(phi, s * s, t * t, rho * s * t), by_quadrature(phi, s, t, (rho * s * t) / (s * t))
    m, n = moments(phi, s.numpy()), moments(phi, t.numpy())
    scale = np.sqrt(m.slope_square * n.slope_square) / ((s * t).numpy() * np.sqrt(1.0 - rho**2))
    for field in want._fields:
        assert_close(getattr(got, field), getattr(want, field), PARTIALS, scale=scale, what=f"{name}: {field}")


@EVERY
@pytest.mark.parametrize("rho", [0.3, -0.8])
def test_quadrature_agrees_with_series_and_closed_forms(name, rho):
    agree(name, rho)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("rho", [0.99, 1.0 - 1e-5, 1e-10 - 1.0])
def test_quadrature_agrees_with_closed_forms_close_to_one(name, rho):
    agree(name, rho)


@EVERY
def test_scale_derivative_of_the_hermite_coefficients(name):
    """``s da_k/ds = k a_k + sqrt((k + 1)(k + 2)) a_(k+2)``, which the series rest on."""
    phi, s, h, k = nsd.activation(name), np.array([0.4, 1.0, 1.9]), 1e-3, np.arange(12)
    a = coefficients(phi, s, 14)
    moved = {step: coefficients(phi, s * np.exp(step * h), 12) for step in (-2, -1, 1, 2)}
    rate = (8.0 * (moved[1] - moved[-1]) - (moved[2] - moved[-2])) / (12.0 * h)
    assert_close(rate, k * a[:, :12] + np.sqrt((k + 1) * (k + 2)) * a[:, 2:], 1e-10)


@EVERY
def test_derivatives_along_copies_are_those_of_the_squares(name):
    """u = v stays u = v when q, q' and c move together: a function of q alone, of which the derivative is known."""
    phi, q = nsd.activation(name).shifted(0.3), tensor(0.3, 1.0, 2.2)
    found, slope = partials(phi, q, q, q), values(phi, q, q, q)[1]
    whole = q.clone().requires_grad_()
    square, slope_square = squares(phi, whole)
    (rate,), (slope_rate,) = (
        torch.autograd.grad(part.sum(), whole, retain_graph=True) for part in (square, slope_square)
    )
    assert_close(found.value_rows + found.value_columns + slope, rate, PARTIALS, scale=rate.abs() + 1.0)
    total = found.slope_rows + found.slope_columns + found.slope_covariance
    assert_close(total, slope_rate, PARTIALS, scale=slope_rate.abs() + 1.0)


@pytest.mark.parametrize("name", ["hardtanh", "erf", "tanh", "softsign", "sin"])
def test_opposites_of_odd_functions_are_like_copies(name):
    phi, q, p = nsd.activation(name), tensor(0.3, 1.0, 2.2), tensor(0.5, 1.0, 1.9)
    copies, opposite = (partials(phi, q, p, sign * (q * p).sqrt()) for sign in (1.0, -1.0))
    for field, sign in zip(copies._fields, (-1, -1, -1, 1, 1), strict=True):
        assert_close(getattr(opposite, field), sign * getattr(copies, field), PARTIALS, scale=1.0, what=field)


@EVERY
def test_squares_integrate_back(name):
    phi = nsd.activation(name).shifted(-0.2)
    q, weights = steps(0.4, 2.5, panels=3, order=14)
    q.requires_grad_()
    ends = torch.stack(squares(phi, tensor(0.4, 2.5)))
    for whole, part in zip(ends, squares(phi, q), strict=True):
        (rate,) = torch.autograd.grad(part.sum(), q, retain_graph=True)
        assert_close((weights * rate).sum(), whole[1] - whole[0], INTEGRATED_BACK, scale=whole.max(), what=name)


def problem(n=3, m=2, seed=0):
    """Return variances of rows and columns, and covariances of moderate correlation."""
    rng = torch.Generator().manual_seed(seed)
    q, p = (0.7 + torch.rand(size, generator=rng, dtype=torch.float64) for size in (n, m))
    return q, p, 0.9 * (2 * torch.rand(n, m, generator=rng, dtype=torch.float64) - 1) * torch.outer(q, p).sqrt()


def checked(function, *inputs):
    leaves = tuple(x.clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(function, leaves, atol=GRADCHECK, rtol=GRADCHECK_RELATIVE)


@pytest.mark.parametrize("name", ["relu", "hardtanh", "tanh", "silu", "selu", "erf", "cos"])
def test_gradcheck(name):
    phi, (q, p, c) = nsd.activation(name), problem()
    offset = tensor(0.2)[0]
    checked(lambda q, p, c, b: dual(phi.shifted(float(b.detach())), q, p, c, b), q, p, c, offset)
    checked(lambda q, b: squares(phi.shifted(float(b.detach())), q, b), q, offset)


@pytest.mark.parametrize("name", ["relu", "tanh", "elu"])
def test_gradcheck_of_pairs_among_rows(name):
    phi, (q, _, _) = nsd.activation(name), problem(n=4)
    c = 0.9 * problem(4, 4, seed=1)[2].clamp(-0.6, 0.6)
    checked(lambda q, c: dual(phi, q, None, c), q, c)
    whole = dual(phi, q, q, torch.triu(c, 1) + torch.triu(c, 1).T)
    for got, want in zip(dual(phi, q, None, c), whole, strict=True):
        apart = ~torch.eye(4, dtype=torch.bool)
        assert_close(got[apart], want[apart], PARTIALS)
        assert not got.diagonal().any()


def solved(phi, q, p, source, feedback):
    """Solve the fixed point by plain iteration."""
    of_pair, c = Dual(phi, q.sqrt(), p.sqrt()), source
    i, j = torch.arange(len(q))[:, None], torch.arange(len(p))[None, :]
    for _ in range(60):
        c = feedback * of_pair.bulk(i, j, c / torch.outer(q, p).sqrt())[0] + source
    return c


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_gradcheck_of_the_fixed_point(name):
    phi, (q, p, c) = nsd.activation(name), problem()

    def function(q, p, source, feedback, b):
        shifted = phi.shifted(float(b.detach()))
        with torch.no_grad():
            covariance = solved(shifted, q, p, source, feedback)
        return fixed_point(shifted, q, p, source, feedback, covariance, b)

    checked(function, q, p, 0.6 * c, tensor(0.4)[0], tensor(-0.1)[0])


def test_many_scales_in_many_blocks_agree_with_few():
    """From some number of scales on tables serve, and a matrix is treated in several blocks."""
    phi, rng = nsd.activation("silu"), np.random.default_rng(5)
    q, p = (torch.from_numpy(rng.uniform(0.6, 1.7, n)) for n in (300, 260))
    c = torch.from_numpy(rng.uniform(-0.9, 0.9, (300, 260))) * torch.outer(q, p).sqrt()
    found = []
    for rows, columns in ((slice(None), slice(None)), (slice(7, 10), slice(40, 44))):
        leaves = [x.clone().requires_grad_() for x in (q[rows], p[columns], c[rows, columns])]
        value, slope = dual(phi, *leaves)
        (value.sum() + slope.sum()).backward()
        found.append((leaves[2].grad, leaves[0].grad))
    assert_close(found[0][0][7:10, 40:44], found[1][0], PARTIALS)
    singles = [x.clone().requires_grad_() for x in (q[7:10], p, c[7:10])]
    sum(part.sum() for part in dual(phi, *singles)).backward()
    assert_close(found[0][1][7:10], singles[0].grad, PARTIALS)


def test_gradients_exist_once():
    q, p, c = (x.requires_grad_() for x in problem())
    for parts in (dual(nsd.activation("tanh"), q, p, c), squares(nsd.activation("tanh"), q)):
        with pytest.raises(RuntimeError, match="differentiated once"):
            torch.autograd.grad(parts[0].sum(), q, create_graph=True)


def test_functions_that_jump_are_refused():
    step = nsd.Activation(
        lambda x: np.sign(x - 0.3), lambda x: 0.0 * x, kinks=(0.3,), second_derivative=lambda x: 0.0 * x
    )
    with pytest.raises(ValueError, match=r"custom\(\) itself jumps, at 0.3"):
        dual(step, *problem())


@pytest.mark.filterwarnings("ignore::notsodeep.errors.SmoothnessWarning")
def test_a_forgotten_kink_is_an_error_not_a_wrong_number():
    phi = nsd.Activation(lambda x: np.abs(x - 0.3), lambda x: np.sign(x - 0.3), second_derivative=lambda x: 0.0 * x)
    q, p, c = problem()
    with pytest.raises(ConvergenceError, match="declare every kink"):
        partials(phi, q[:2], p, c[0])


def test_second_derivatives_of_callables():
    x = np.array([-2.0, -0.95, -0.3, 0.1, 0.5, 1.9])
    want = -2.0 * np.tanh(x) / np.cosh(x) ** 2 - 0.6 * (x > -0.9)
    assert_close(second_derivative(CALLABLES["torch"])(x), want, PARTIALS)
    assert_close(second_derivative(CALLABLES["numpy"])(x), want, INTERPOLATED_CURVATURE)
