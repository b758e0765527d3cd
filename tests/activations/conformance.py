"""What every activation must do, whoever wrote it: inherit, and give the activation with a naive second formulation."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
import torch
from mpmath import mpf

from notsodeep.activations import Activation, moments
from notsodeep.activations.hermite import coefficients
from notsodeep.activations.lipschitz import lipschitz
from notsodeep.activations.mesh import mesh
from notsodeep.errors import SmoothnessWarning
from tests.tolerances import CENTRAL, EXACT, MOMENTS, ROUNDING, SAMPLED, SINGLE_VALUES, assert_close

Naive = Callable[[mpf], tuple[mpf, mpf, mpf]]

_GRID = np.concatenate([-np.geomspace(25.0, 1e-6, 23), np.geomspace(1e-6, 25.0, 23), np.linspace(-4.05, 4.05, 37)])


def roughness(phi: Activation, kinks: tuple[float, ...]) -> list[str]:
    """Return the warnings about the function and its derivatives when only these kinks are declared."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SmoothnessWarning)
        for f in (phi.fn, phi.derivative, phi.second_derivative):
            if f is not None:
                mesh.__wrapped__(f, kinks, 16.0)
    return [str(warning.message) for warning in caught]


class ActivationConformance(ABC):
    """Checks that an activation inherits by giving two fixtures."""

    precision: ClassVar[float] = EXACT
    """Bound of the derivatives, relative to what the rounding of the argument makes of them ..."""

    floor: ClassVar[float] = 1e-16
    """... or to this, where they all but vanish"""

    @pytest.fixture
    @abstractmethod
    def phi(self) -> Activation:
        """Return the activation."""

    @pytest.fixture
    @abstractmethod
    def naive(self) -> Naive:
        """Return the same function with its two derivatives between the kinks, in mpmath, written independently."""

    @pytest.fixture
    def cancelling(self) -> float:
        """Return the size of what cancels in a value near 0, beyond the rounding of the argument."""
        return 0.0

    @pytest.fixture
    def points(self, phi: Activation) -> np.ndarray:
        """Return places near and far on both sides of every kink, but no kink itself."""
        beside = [k + side * distance for k in phi.kinks for side in (-1, 1) for distance in (1e-9, 1e-3, 0.1)]
        return np.setdiff1d(np.concatenate([_GRID, beside]), phi.kinks)

    @pytest.fixture
    def exact(self, naive: Naive, points: np.ndarray) -> np.ndarray:
        """Return value, slope and second derivative at the points, ``(3, points)``."""
        return np.array([[float(v) for v in naive(mpf(float(x)))] for x in points]).T

    @staticmethod
    def conditioning(exact: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return what errors are compared with: the numbers, and what moves them when the argument is rounded."""
        value, slope, second = np.abs(exact)
        x = np.abs(points)
        return np.array([value + x * slope + x**2 * second, slope + x * second, slope + (1 + x) * second])

    def test_values(self, phi, exact, points, cancelling):
        scale = self.conditioning(exact, points)[0] + cancelling + 1e-300
        assert_close(phi(points), exact[0], 4 * EXACT, scale=scale)

    def test_derivative(self, phi, exact, points):
        assert_close(
            phi.derivative(points), exact[1], 4 * self.precision, scale=self.conditioning(exact, points)[1] + self.floor
        )

    def test_second_derivative(self, phi, exact, points):
        if phi.second_derivative is None:
            assert not phi.is_registered
            return
        scale = self.conditioning(exact, points)[2] + self.floor
        assert_close(phi.second_derivative(points), exact[2], 8 * self.precision, scale=scale)

    def test_derivative_against_central_differences(self, phi, points):
        step = 1e-5
        inside = points[[all(abs(x - k) > 2 * step for k in phi.kinks) and abs(x) < 5 for x in points]]
        differences = (phi(inside + step) - phi(inside - step)) / (2 * step)
        assert_close(phi.derivative(inside), differences, CENTRAL, scale=np.abs(phi(inside)).max() + 1.0)

    def test_torch_gives_the_values_of_numpy(self, phi, exact, points):
        size = self.conditioning(exact, points)
        for f, scale in ((phi, size[0]), (phi.derivative, size[1]), (phi.second_derivative, size[2])):
            if f is not None:
                found = f(torch.from_numpy(points))
                assert found.dtype == torch.float64
                assert_close(found, f(points), 4 * EXACT, scale=scale + 1.0)
                with torch.no_grad():
                    assert_close(f(torch.from_numpy(points)), f(points), 4 * EXACT, scale=scale + 1.0)

    @pytest.mark.parametrize("grad", [False, True])
    def test_torch_in_single_precision(self, phi, exact, points, grad):
        inside = np.abs(points) < 30.0
        x = points[inside].astype(np.float32)
        with torch.set_grad_enabled(grad):
            found = phi(torch.from_numpy(x))
        assert_close(found, phi(x), SINGLE_VALUES, scale=self.conditioning(exact, points)[0][inside] + 1.0)

    def test_autograd_agrees_with_the_derivative(self, phi, exact, points):
        if not phi.fn.takes_torch:
            with pytest.raises(TypeError, match="NumPy arrays only"):
                phi(torch.ones(2, dtype=torch.float64, requires_grad=True))
            return
        x = torch.from_numpy(points).requires_grad_()
        (slope,) = torch.autograd.grad(phi(x).sum(), x)
        assert_close(slope, phi.derivative(points), 4 * self.precision, scale=self.conditioning(exact, points)[1] + 1.0)

    @pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)])
    def test_shapes_and_kinds_are_kept(self, phi, shape):
        x = np.full(shape, 0.3)
        for f in (phi, phi.derivative):
            assert np.shape(f(x)) == shape
            assert np.asarray(f(x.astype(np.float32))).dtype == np.float64
            single = f(torch.from_numpy(x).float())
            assert (single.shape, single.dtype) == (shape, torch.float32)
        assert_close(phi(np.array([2, -1])), phi(np.array([2.0, -1.0])), 0.0)
        assert_close(phi(torch.tensor([2, -1])), phi(torch.tensor([2.0, -1.0])), 0.0)

    def test_no_kink_is_missing(self, phi):
        assert not roughness(phi, phi.kinks)

    def test_no_kink_is_superfluous(self, phi):
        for kink in phi.kinks:
            assert roughness(phi, tuple(k for k in phi.kinks if k != kink)), f"nothing is rough at {kink}"

    def test_shifted(self, phi, points):
        moved = phi.shifted(0.25)
        assert_close(moved(points), phi(points) + 0.25, EXACT, scale=np.abs(phi(points)) + 1.0)
        assert_close(moved(torch.from_numpy(points)), moved(points), 4 * EXACT, scale=np.abs(phi(points)) + 1.0)
        assert_close(moved.derivative(points), phi.derivative(points), 0.0)
        back = moved.shifted(-0.25)
        assert_close(back.offset, phi.offset, EXACT, scale=1.0)
        assert back.shifted(phi.offset - back.offset) == phi != moved
        assert "offset" in repr(moved)
        assert moved.kinks == phi.kinks

    @pytest.mark.parametrize("scale", [0.2, 1.0, 2.5])
    def test_first_hermite_coefficients_are_moments(self, phi, scale):
        m = moments(phi, scale)
        a = coefficients(phi, np.array([scale]), 3)[0]
        expected = [m.mean, scale * m.slope, scale**2 * m.curvature / np.sqrt(2.0)]
        assert_close(a, expected, ROUNDING, scale=np.sqrt(m.square) + scale * np.sqrt(m.slope_square))

    @pytest.mark.parametrize("scale", [0.2, 1.0, 2.5])
    def test_parseval(self, phi, scale):
        """What ``count`` coefficients leave of ``E[phi^2]`` is bounded by what they leave of ``s^2 E[phi'^2]``.

        The second is ``sum k a_k^2``, so its rest is at least ``count`` times that of the first.
        """
        count = 200
        m = moments(phi, scale)
        power = coefficients(phi, np.array([scale]), count)[0] ** 2
        left = m.square - power.sum()
        slope_left = scale**2 * m.slope_square - (np.arange(count) * power).sum()
        rounding = MOMENTS * m.square
        assert left >= -rounding
        assert slope_left >= -count * rounding
        assert left <= max(slope_left, 0.0) / count + rounding
        assert left <= 1e-3 * m.square

    def test_lipschitz_is_the_largest_slope(self, phi, naive):
        found = lipschitz(phi)
        seen = max(abs(float(naive(mpf(float(x)))[1])) for x in np.linspace(-20.03, 20.03, 1601))
        if np.isinf(found):
            assert seen > 10.0
        else:
            assert_close(found, seen, SAMPLED)
