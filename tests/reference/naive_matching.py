"""The two families of networks solved by other routes; nothing of the package.

Hard tanh: bisection on Gauss-Legendre moments, no closed form. Leaky ReLU, conjugate kernel: with ``k = pi/2 - 1``, a
layer of mean slope m and bend e at scale tau has ``E[s']^2 = m^2``, ``E[s'']^2 = e^2 / tau^2``,
``E[s^2] = (m^2 + k e^2) tau^2 = E[(s^2)''] tau^2 / 2``. Two layers, the first with ``m1^2 + k e1^2 = 1`` (the scale
between them is free) and ``y = m1^2``, so ``e1^2 = (1 - y) / k``, have

    alpha1 = m2^2 y,   4 tau0^2 alpha2 = m2^2 e1^2 + e2^2,   2 tau0^2 alpha3 = m2^2 e1^2 + e2^2 y^2,
    gamma2 = tau0^2 (m2^2 + k e2^2).

The first two give m2^2 and e2^2 in terms of y, the third a cubic for y in (0, 1], the last an identity without y:
``gamma2 = tau0^2 alpha1 + 4 k tau0^4 alpha2``. A root is a network when ``e2^2 >= 0``.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from tests.reference.naive_kernels import Function, bisect, expectation

SPENT = math.pi / 2 - 1


def clip(slope, width):
    """Return ``slope * clip(x, -width, width)``."""
    return Function(lambda x: slope * np.clip(x, -width, width), lambda x: slope * (np.abs(x) < width), (-width, width))


def clip_moments(width, tau):
    """Return E[s'], E[s'^2] and E[s^2] of the clip of unit slope at scale tau."""
    f = clip(1.0, width)
    return [
        float(v) for v in expectation((f.slope, lambda x: f.slope(x) ** 2, lambda x: f.phi(x) ** 2), f.kinks, tau, tau)
    ]


def hard_tanh(kernel, numbers, tau0, readout=1):
    """Return slope and width of the hard tanh layer with the given linear part and diagonal.

    For the NTK its learning rate is 1, and that of the readout ``readout``.
    """
    linear, diagonal = numbers[0], numbers[3]
    rate = 1 if kernel == "ntk" else 0

    def slope2(inside):
        return linear / (inside**2 * (readout + rate))

    def excess(width):
        inside, inside_square, square = clip_moments(width, tau0)
        return slope2(inside) * (readout * square + rate * tau0**2 * inside_square) - diagonal

    width = bisect(excess, 1e-3 * tau0)
    return math.sqrt(slope2(clip_moments(width, tau0)[0])), width


def leaky_relu(numbers, tau0):
    """Return every pair of layers ((m1, e1), (m2, e2)) of the family that has the first three numbers."""
    linear, norms, products = numbers[0], 4 * tau0**2 * numbers[1], 2 * tau0**2 * numbers[2]
    share = linear / SPENT
    found = []
    for root in np.roots([share + norms, -share, -share - products, share]):
        y = float(root.real)
        if abs(root.imag) > 1e-7 or not 0 < y <= 1 + 1e-9:
            continue
        y = min(y, 1.0)
        bend = norms - share * (1 - y) / y
        if bend >= 0:
            found.append(((math.sqrt(y), math.sqrt((1 - y) / SPENT)), (math.sqrt(linear / y), math.sqrt(bend))))
    return found


def misses(found, target, tau0):
    """Return the relative misses; of a number that should be zero, relative to the diagonal."""
    units = np.array([tau0**2, tau0**4, tau0**4, 1.0])
    size = np.abs(target) * units
    size[size < 1e-12 * target[3]] = target[3]
    return (np.asarray(found) - target) * units / size


def least_cost(target, tau0):
    """Return the least root of the sum of squared misses over the family.

    For each y the numbers are linear in ``m2^2`` and ``e2^2``, which must not be negative.
    """

    def numbers(y, m2_square, e2_square):
        bent = m2_square * (1 - y) / SPENT
        return np.array(
            [
                m2_square * y,
                (bent + e2_square) / (4 * tau0**2),
                (bent + e2_square * y**2) / (2 * tau0**2),
                tau0**2 * (m2_square + SPENT * e2_square),
            ]
        )

    def cost(y):
        nothing = misses(np.zeros(4), target, tau0)
        columns = [misses(numbers(y, *unit), target, tau0) - nothing for unit in ((1, 0), (0, 1))]
        return nnls(np.stack(columns, axis=1), -nothing)[1]

    grid = np.linspace(0.0, 1.0, 401)
    best = int(np.argmin([cost(y) for y in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 400)]
    return float(
        min(cost(grid[best]), minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).fun)
    )


def identity_side(numbers, tau0):
    """Return what gamma2 must be for a leaky ReLU network to have the first two numbers."""
    return tau0**2 * numbers[0] + 4 * SPENT * tau0**4 * numbers[1]


def bend_function(m, e, tau):
    """Return the centred leaky ReLU of mean slope m and bend e."""
    half = e * math.sqrt(math.pi / 2)
    return Function(
        lambda x: np.where(x > 0, m + half, m - half) * x - e * tau,
        lambda x: np.where(x > 0, m + half, m - half),
        (0.0,),
    )
