from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from notsodeep.errors import ConvergenceError
from notsodeep.spectra import Bulk, ClassModel, limiting_spectrum, support, traces
from notsodeep.spectra.atoms import Wall
from tests import tolerances as tol
from tests.spectra.models import DENSE, MODELS, draw, full, marchenko_pastur, moments, scattered
from tests.tolerances import assert_close


@pytest.fixture(scope="module")
def bulks() -> dict[str, Bulk]:
    return {name: limiting_spectrum(model).bulk for name, model in {**MODELS, "dense": DENSE}.items()}


@pytest.fixture(params=[*MODELS, "dense"])
def name(request) -> str:
    return request.param


@pytest.fixture
def bulk(bulks, name) -> Bulk:
    return bulks[name]


@pytest.fixture
def model(name) -> ClassModel:
    return {**MODELS, "dense": DENSE}[name]


def inner(bulk: Bulk, count: int = 21) -> np.ndarray:
    """Points inside the intervals."""
    share = np.linspace(0.02, 0.98, count)
    return np.concatenate([low + (high - low) * share for low, high in bulk.intervals])


def parts(z: complex) -> np.ndarray:
    return np.array([np.real(z), np.imag(z)])


@pytest.mark.parametrize("c", [0.01, 0.25, 1.0, 4.0, 100.0])
def test_law_of_marchenko_and_pastur(c):
    p = 1000
    bulk = limiting_spectrum(ClassModel([round(p / c)], 1.0, p=p)).bulk
    low, high = (1.0 - c**-0.5) ** 2, (1.0 + c**-0.5) ** 2
    assert_close(bulk.intervals, [(low, high)], tol.EDGES)
    assert len(bulk.atoms) == (c < 1.0)
    assert_close(sum(mass for _, mass in bulk.atoms), max(1.0 - c, 0.0), tol.MASS, scale=1.0)
    x = inner(bulk, 101)
    assert_close(bulk.pdf(x), marchenko_pastur(c, x), tol.DENSITY)


def test_scale_and_shift_move_the_law():
    bulk = limiting_spectrum(ClassModel([200], 3.0, p=400, shifts=[-5.0])).bulk
    x = np.linspace(-4.0, 3.0, 50)
    assert_close(bulk.pdf(x), marchenko_pastur(2.0, (x + 5.0) / 3.0) / 3.0, tol.DENSITY)


def test_noise_alone_is_a_semicircle():
    bulk = limiting_spectrum(ClassModel([300, 100], 0.0, p=200, noise=np.full((2, 2), 0.5))).bulk
    assert_close(bulk.intervals, [(-2.0, 2.0)], tol.EDGES)
    x = inner(bulk, 50)
    assert_close(bulk.pdf(x), np.sqrt(4.0 - x**2) / (2.0 * np.pi), tol.DENSITY)


def test_integral_of_the_density_is_the_distribution(bulk):
    total = sum(mass for _, mass in bulk.atoms)
    for low, high in bulk.intervals:
        middle = 0.5 * (low + high)
        for a, b, edge, width in ((low, middle, low, middle - low), (middle, high, high, middle - high)):
            # the root of the distance to an edge makes the integrand smooth there
            part = quad(lambda u, e=edge, w=width: 2.0 * abs(w) * u * bulk.pdf(e + w * u * u), 0.0, 1.0, limit=200)[0]
            atoms = sum(mass for position, mass in bulk.atoms if a < position <= b)
            assert_close(bulk.cdf(b) - bulk.cdf(a), part + atoms, tol.QUADRATURE, scale=1.0)
            total += part
    assert_close(total, 1.0, tol.QUADRATURE)


def test_mean_and_variance(bulk, model):
    mean, variance = moments(model)
    assert_close(bulk.mean(), mean, tol.MASS)
    assert_close(bulk.var(), variance, tol.VARIANCE)
    assert_close(bulk.std(), math.sqrt(variance), tol.VARIANCE)


def test_certificates(bulk):
    assert bulk.residual < tol.RESIDUAL
    assert bulk.mass_error < tol.MASS


def test_quantiles_invert_the_distribution(bulk):
    share = np.linspace(0.0, 1.0, 41)
    x = bulk.ppf(share)
    low, high = bulk.support()
    assert (np.diff(x) >= 0.0).all()
    assert (x >= low).all()
    assert (x <= high).all()
    step = 1e-9 * (high - low)
    assert (bulk.cdf(x) >= share - tol.MASS).all()
    assert (bulk.cdf(x - step) <= share + tol.QUANTILE).all()


def test_support_holds_all_mass_and_nothing_else(bulk):
    low, high = bulk.support()
    assert bulk.cdf(low - 1.0) == 0.0
    assert bulk.cdf(high) == 1.0
    assert_close(bulk.cdf(np.nextafter(high, low)), 1.0 - sum(m for x, m in bulk.atoms if x == high), tol.MASS)
    assert (bulk.pdf(inner(bulk)) > 0.0).all()
    ends = [-np.inf, *(end for interval in bulk.intervals for end in interval), np.inf]
    for left, right in zip(ends[::2], ends[1::2], strict=True):
        gap = np.linspace(max(left, low - 1.0), min(right, high + 1.0), 7)[1:-1]
        assert not bulk.pdf(gap).any()


@pytest.mark.parametrize("z", [0.3 + 0.5j, 2.0 + 0.01j, -1.0 - 0.2j])
def test_stieltjes_transform_is_the_integral(bulk, z):
    """``m(z)`` from the equations at z against the density, which is solved on the real axis."""
    value = sum(mass / (position - z) for position, mass in bulk.atoms)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    theta = np.pi * (np.arange(1000)[:, None] + 0.5 + 0.5 * nodes) / 1000
    for low, high in bulk.intervals:
        x, slope = low + (high - low) * np.sin(0.5 * theta) ** 2, 0.5 * (high - low) * np.sin(theta)
        value += 0.0005 * np.pi * (bulk.pdf(x) * slope / (x - z) @ weights).sum()
    assert_close(parts(bulk.stieltjes(z)), parts(value), tol.STIELTJES)


@pytest.mark.parametrize("name", ["two shifts", "commuting", "dense", "orthogonal ranges"], indirect=True)
def test_stieltjes_transform_of_a_draw(bulk, model):
    z = np.array([0.5 + 0.5j, 3.0 + 1.0j])
    values = np.array([np.linalg.eigvalsh(draw(model, seed)) for seed in range(4)])
    drawn = (1.0 / (values[:, :, None] - z)).mean(axis=(0, 1))
    assert_close(parts(bulk.stieltjes(z)), parts(drawn), tol.OF_A_DRAW)


def test_distribution_of_a_draw(bulk, model):
    """Kolmogorov distance to the eigenvalues: eigenvalues are rigid, so it is of the order 1 / n."""
    values = np.linalg.eigvalsh(draw(model, 5))
    values = np.where(np.abs(values) < 1e-9, 0.0, values)
    for position, _ in bulk.atoms:
        values = np.where(np.abs(values - position) < 1e-9 * np.ptp(values), position, values)
    grid = np.linspace(*bulk.support(), 400)
    drawn = np.searchsorted(np.sort(values), grid, side="right") / model.n
    assert np.abs(bulk.cdf(grid) - drawn).max() < tol.KOLMOGOROV / model.n


def test_atoms():
    rows_beyond_rank = limiting_spectrum(ClassModel([300, 200], [1.0, 2.0], p=100, shifts=[0.5, 0.5])).bulk
    assert_close(rows_beyond_rank.atoms, [(0.5, 0.8)], tol.MASS)
    a_shift_each = limiting_spectrum(ClassModel([300, 200], [1.0, 2.0], p=100, shifts=[0.5, 1.5])).bulk
    assert_close(a_shift_each.atoms, [(0.5, 0.4), (1.5, 0.2)], tol.MASS)
    of_two_ranges = limiting_spectrum(ClassModel([100, 250], half(200), shifts=[0.0, 0.0])).bulk
    assert_close(of_two_ranges.atoms, [(0.0, 150 / 350)], tol.MASS)
    nothing_else = limiting_spectrum(ClassModel([100, 300], 0.0, p=50, shifts=[2.0, 1.0])).bulk
    assert nothing_else.intervals == ()
    assert_close(nothing_else.atoms, [(1.0, 0.75), (2.0, 0.25)], tol.MASS)
    assert nothing_else.ppf([0.5, 0.75, 0.8]).tolist() == [1.0, 1.0, 2.0]
    assert nothing_else.support() == (1.0, 2.0)


def half(p: int) -> np.ndarray:
    return np.stack([np.ones(p), np.repeat([0.0, 1.0], p // 2)])


def test_gaps_are_found():
    shares = [0.25, 0.25, 0.5]
    values = np.repeat([1.0, 10.0, 100.0], [50, 50, 100])
    bulk = limiting_spectrum(ClassModel([20000], values[None])).bulk
    assert len(bulk.intervals) == 3
    masses = [bulk.cdf(high) - bulk.cdf(low) for low, high in bulk.intervals]
    assert_close(masses, np.array(shares) * 200 / 20000, tol.MASS)


def test_forms_of_the_covariances_agree():
    p, x = 40, np.linspace(0.1, 8.0, 60)
    numbers = ClassModel([50, 30], [1.0, 2.0], p=p, shifts=[0.1, 0.4])
    diagonals = ClassModel([50, 30], np.outer([1.0, 2.0], np.ones(p)), shifts=[0.1, 0.4])
    matrices = ClassModel([50, 30], full(numbers), shifts=[0.1, 0.4])
    one, two, three = (limiting_spectrum(model).bulk.pdf(x) for model in (numbers, diagonals, matrices))
    assert_close(two, one, tol.DENSITY)
    assert_close(three, one, tol.DENSITY)


def test_dense_algebra_agrees_with_the_joint_eigenbasis(monkeypatch):
    model = ClassModel([20, 40], np.stack([np.diag(np.linspace(1.0, 2.0, 12)), np.diag(np.linspace(3.0, 0.5, 12))]))
    x = np.linspace(0.05, 12.0, 60)
    fast = limiting_spectrum(model).bulk
    monkeypatch.setattr(traces, "joint_basis", lambda matrices: None)
    slow = limiting_spectrum(model).bulk
    assert_close(slow.intervals, fast.intervals, tol.EDGES)
    assert_close(slow.pdf(x), fast.pdf(x), tol.DENSITY)


@pytest.mark.parametrize("seed", [1, 3, 26, 38])
def test_dozens_of_intervals(seed):
    """Spectra on which continuation past a fold would end on another branch."""
    model = scattered(seed)
    bulk = limiting_spectrum(model).bulk
    mean, variance = moments(model)
    assert_close(bulk.mean(), mean, tol.MASS)
    assert_close(bulk.var(), variance, tol.VARIANCE)
    assert bulk.mass_error < tol.MASS


def test_atoms_of_many_ranges():
    """A dozen of classes, each with a range of its own: too many for all sets of them."""
    p, k = 48, 12
    variances = np.ones((k, p))
    for a in range(k):
        variances[a, a::k] = 0.0
    bulk = limiting_spectrum(ClassModel([10] * k, variances)).bulk
    assert_close(bulk.atoms, [(0.0, 1.0 - p / (10 * k))], tol.MASS)
    alone = np.kron(np.eye(k), np.ones(p // k))
    apart = limiting_spectrum(ClassModel([10] * k, alone)).bulk
    assert_close(apart.atoms, [(0.0, 0.6)], tol.MASS)


def test_equal_classes_are_one_class():
    x = np.linspace(0.1, 6.0, 60)
    one = limiting_spectrum(ClassModel([300], 1.0, p=200)).bulk
    three = limiting_spectrum(ClassModel([100, 150, 50], 1.0, p=200)).bulk
    assert_close(three.pdf(x), one.pdf(x), tol.DENSITY)
    assert_close(three.atoms, one.atoms, tol.MASS)


def test_shapes_and_ends():
    bulk = limiting_spectrum(ClassModel([100], 1.0, p=400)).bulk
    low, high = bulk.support()
    assert np.isscalar(bulk.pdf(1.0))
    assert bulk.pdf([[1.0, 2.0]]).shape == (1, 2)
    assert bulk.pdf([low, high, -np.inf, np.inf]).tolist() == [0.0, 0.0, 0.0, 0.0]
    assert bulk.cdf([-np.inf, np.inf]).tolist() == [0.0, 1.0]
    assert np.isnan(bulk.pdf(np.nan))
    assert np.isnan(bulk.cdf(np.nan))
    assert np.isnan(bulk.ppf([-0.1, 1.1, np.nan])).all()
    assert bulk.stieltjes([[1.0 + 1.0j]]).shape == (1, 1)
    hard = limiting_spectrum(ClassModel([400], 1.0, p=400)).bulk
    assert hard.pdf(0.0) == np.inf


@pytest.mark.parametrize("z", [1.0, [1.0 + 1.0j, 2.0], complex("nan"), complex("inf")])
def test_stieltjes_refuses_what_is_on_the_real_axis(z):
    bulk = limiting_spectrum(ClassModel([100], 1.0, p=400)).bulk
    with pytest.raises(ValueError, match="z must be finite complex"):
        bulk.stieltjes(z)


def test_a_wrong_mass_is_an_error(monkeypatch):
    monkeypatch.setattr(support, "walls", lambda equations: (Wall(0.0, 0.123),))
    with pytest.raises(ConvergenceError, match="mass that is off by"):
        limiting_spectrum(ClassModel([300], 1.0, p=100))
