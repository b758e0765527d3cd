"""Whether weights look as the theory takes them: independent, of mean 0 and one variance a matrix, Gaussian."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import gammainc, gammaincc, kolmogorov, ndtr, ndtri

from notsodeep.checks import FloatArray

LIMIT = 5.0
"""Standard errors beyond which a check fails: with thirty checks, of drawn weights fewer than 1 in 1000 have one"""
LEAST_WIDTH = 30
"""Fewest states at which the checks can tell anything"""
_LEAST_ENTRIES = 20  # for a fourth moment
_FAR = 30.0  # standard errors beyond which a tail is not worked out
_TINY = 1e-12
_ALIKE = 1e-3  # fourth moment above 1: below, all entries have one size, and so have all rows
_LEAST_LINE = 8  # entries of a row or column whose variance is looked at
_LARGEST_SPECTRUM = 1024  # order of the block whose singular values are all computed
_SMALL = 64  # order up to which all singular values are as quick as the largest
_PLACES = (0.45, 0.38, 0.45)  # mean a + b log(m), measured for m = 32 ... 256; deviation 0.32, but a long right tail
_TRACY_WIDOM = (-1.2065, 1.268)  # mean and standard deviation of the largest eigenvalue in its own units


@dataclass(frozen=True)
class Check:
    """One number about the weights against what drawn weights give."""

    name: str
    value: float
    expected: float
    standard_error: float
    z: float
    """How far the value is off, in standard errors; of one that is not normal, the quantile of a normal number"""
    of_shape: bool = False
    """Whether it is about the distribution of single entries alone, which the kernel of a wide layer does not feel"""

    @property
    def passed(self) -> bool:
        """Whether drawn weights may well have this value."""
        return abs(self.z) <= LIMIT


@dataclass(frozen=True)
class WeightsCheck:
    """What was found about the weights of a DEQ."""

    width: int
    checks: tuple[Check, ...]
    outliers: int
    """Singular values of the recurrent weights above the edge of the Marchenko-Pastur law"""

    @property
    def verdict(self) -> str:
        """``gaussian``, ``independent`` (but not Gaussian), ``not random``, or ``too few`` to tell."""
        failed = [check for check in self.checks if not check.passed]
        if self.width < LEAST_WIDTH:
            return "too few"
        if any(not check.of_shape for check in failed):
            return "not random"
        return "independent" if failed else "gaussian"

    @property
    def worst(self) -> Check:
        """The check that is farthest off; of those that the kernel feels, if one fails."""
        felt = [check for check in self.checks if not check.of_shape and not check.passed]
        return max(felt or self.checks, key=lambda check: abs(check.z))

    @property
    def reason(self) -> str:
        """The verdict in a sentence."""
        worst = self.worst
        measured = f"{worst.name} is {worst.value:.4g}, {abs(worst.z):.3g} standard errors from {worst.expected:.4g}"
        return {
            "gaussian": "the weights look like independent Gaussian ones",
            "independent": f"the weights look independent, though not Gaussian ({measured}), which matters little "
            "where many inputs and states are summed",
            "not random": f"the weights are no longer random: {measured}",
            "too few": f"{self.width} states are too few to tell whether the weights are random, {LEAST_WIDTH} needed",
        }[self.verdict]


def check_weights(recurrent: Any, inputs: Any, bias: Any = None) -> WeightsCheck:
    """Compare the weights of a DEQ with independent Gaussian ones of the same mean squares.

    Parameters
    ----------
    recurrent : array_like (m, m)
        ``W`` or any multiple of it.
    inputs : array_like (m, p)
        ``U``.
    bias : array_like (m,), optional
        ``b``.

    Notes
    -----
    Of each matrix: mean; fourth moment and Kolmogorov-Smirnov distance of the entries; spread of the mean squares of
    rows and of columns; cosines between rows and between columns (their squares sum to a number that is known for
    directions drawn evenly; Schott, Biometrika 2005); largest singular value (Tracy-Widom). Of the recurrent one also
    its correlation with its transpose and the distribution of its singular values (Marchenko-Pastur). Between the
    matrices: cosines of the columns, in which they write, and of the rows of ``W`` with the columns of ``U``, which it
    reads. Everything is of weights divided by their root mean square.

    Examples
    --------
    >>> import numpy as np
    >>> from notsodeep.compiler.weights import check_weights
    >>> rng = np.random.default_rng(0)
    >>> W, U = rng.standard_normal((100, 100)), rng.standard_normal((100, 20))
    >>> check_weights(W, U).verdict, check_weights(rng.uniform(-1, 1, (100, 100)), U).verdict
    ('gaussian', 'independent')
    >>> check_weights(W + 0.3 * np.outer(U[:, 0], U[:, 1]), U).verdict
    'not random'
    """
    W, U = _unit(recurrent), _unit(inputs)
    checks = [*_of_matrix("recurrent", W), *_of_matrix("input", U)]
    outliers, several = 0, len(W) > 1
    if W.any() and several:
        checks += [_transpose(W), _overlap("columns of recurrent and of input", W, U)]
        checks.append(_overlap("rows of recurrent and columns of input", W.T, U))
        values = _squares(W)
        checks.append(_marchenko_pastur(values))
        outliers = int((values > _edge(len(values), len(values), LIMIT)).sum())
    if bias is not None:
        b = _unit(bias)[:, None]
        checks += [_mean("bias", b), *_of_entries("bias", b)]
        checks += [_overlap("bias and columns of input", b, U)] if several else []
        if W.any() and several:
            checks += [_overlap("bias and columns of recurrent", b, W), _overlap("bias and rows of recurrent", b, W.T)]
    return WeightsCheck(len(W), tuple(checks), outliers)


def _unit(weights: Any) -> FloatArray:
    array = np.asarray(weights.detach().cpu() if hasattr(weights, "detach") else weights, dtype=np.float64)
    size = math.sqrt(float(np.mean(array**2)))
    return array / size if size > 0.0 else array


def _of_matrix(name: str, X: FloatArray) -> Iterator[Check]:
    if not X.any():
        return
    yield _mean(name, X)
    yield from _of_entries(name, X)
    for line, rows in (("rows", X), ("columns", X.T)):
        if rows.shape[1] >= _LEAST_LINE and len(rows) > 1 and float(np.mean(X**4)) > 1.0 + _ALIKE:
            yield _spread(f"spread of mean squares of {line} of {name}", rows)
        rows = rows[np.any(rows != 0.0, axis=1)]  # sparse weights may leave some without direction
        if len(rows) > 1 and rows.shape[1] > 1:
            yield _cosines(f"cosines between {line} of {name}", rows)
    if min(X.shape) >= _LEAST_LINE:
        yield _largest(name, X)


def _normal(name: str, value: float, expected: float, error: float) -> Check:
    return Check(name, value, expected, error, (value - expected) / error)


def _mean(name: str, X: FloatArray) -> Check:
    return _normal(f"mean of {name}", float(X.mean()), 0.0, 1.0 / math.sqrt(X.size))


def _of_entries(name: str, X: FloatArray) -> Iterator[Check]:
    n = X.size
    if n >= _LEAST_ENTRIES:
        moment = float(np.mean(X**4))
        yield Check(f"fourth moment of {name}", moment, 3.0, math.sqrt(24.0 / n), _fourth_moment(moment, n), True)
    below = ndtr(np.sort(X, axis=None))
    steps = np.arange(n + 1) / n
    gap = float(max(np.abs(below - steps[1:]).max(), np.abs(below - steps[:-1]).max()))
    error = 1.0 / math.sqrt(n)
    z = _normal_quantile(min(float(kolmogorov(gap / error)), 0.5), gap / error)  # no distance is too small
    yield Check(f"distance of {name} to a normal distribution", gap, 0.0, error, z, True)


def _fourth_moment(value: float, n: int) -> float:
    """Return about a normal number for the fourth moment of n of them (Anscombe and Glynn, Biometrika 1983)."""
    x = (value - 3.0 * (n - 1) / (n + 1)) / math.sqrt(24.0 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5)))
    skewness = 6.0 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9))
    skewness *= math.sqrt(6.0 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6.0 + 8.0 / skewness * (2.0 / skewness + math.sqrt(1.0 + 4.0 / skewness**2))
    ratio = (1.0 - 2.0 / a) / (1.0 + x * math.sqrt(2.0 / (a - 4.0)))
    return (1.0 - 2.0 / (9.0 * a) - math.copysign(abs(ratio) ** (1.0 / 3.0), ratio)) / math.sqrt(2.0 / (9.0 * a))


def _normal_quantile(tail: float, otherwise: float) -> float:
    """Return the number that a normal one exceeds with probability ``tail``; ``otherwise`` where that is nothing."""
    return -float(ndtri(tail)) if tail > 0.0 else otherwise


def _chi_squared(name: str, value: float, relative: float) -> Check:
    """Check a mean of squares, expected to be 1, whose relative variance is ``relative``: about a gamma number."""
    error = math.sqrt(relative)
    z = (value - 1.0) / error
    if abs(z) < _FAR:
        shape = 1.0 / relative
        tail = float(gammaincc(shape, shape * value))
        z = _normal_quantile(tail, z) if tail < 0.5 else -_normal_quantile(float(gammainc(shape, shape * value)), -z)
    return Check(name, value, 1.0, error, z)


def _spread(name: str, rows: FloatArray) -> Check:
    """Squared deviations of the mean squares, in units of their variance."""
    count, length = rows.shape
    variance = max(float(np.mean(rows**4)) - 1.0, _TINY) / length
    value = float(np.mean((np.mean(rows**2, axis=1) - 1.0) ** 2)) / variance
    return _chi_squared(name, value, (2.0 + 12.0 / length) / count)


def _directions(rows: FloatArray) -> FloatArray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0.0, norms, 1.0)


def _of_cosines(name: str, squares: float, pairs: float, length: int) -> Check:
    """Mean of ``n cos^2`` over pairs of directions in n dimensions: 1, and the pairs are uncorrelated."""
    return _chi_squared(name, length * squares / pairs, 2.0 * (length - 1) / (length + 2) / pairs)


def _cosines(name: str, rows: FloatArray) -> Check:
    count, length = rows.shape
    unit = _directions(rows)
    small = unit @ unit.T if count <= length else unit.T @ unit
    return _of_cosines(name, 0.5 * (float(np.sum(small**2)) - count), 0.5 * count * (count - 1), length)


def _overlap(name: str, left: FloatArray, right: FloatArray) -> Check:
    """Cosines between the columns of two matrices."""
    product = _directions(left.T) @ _directions(right.T).T
    return _of_cosines(f"cosines between {name}", float(np.sum(product**2)), product.size, len(left))


def _transpose(W: FloatArray) -> Check:
    m = len(W)
    pairs = 0.5 * m * (m - 1)
    value = 0.5 * (float(np.sum(W * W.T)) - float(np.sum(np.diag(W) ** 2))) / max(pairs, 1.0)
    return _normal("correlation of recurrent with its transpose", value, 0.0, 1.0 / math.sqrt(max(pairs, 1.0)))


def _tracy_widom(rows: int, columns: int) -> tuple[float, float]:
    """Centre and unit of the largest squared singular value."""
    root = math.sqrt(rows - 0.5) + math.sqrt(columns - 0.5)
    return root**2, root * (1.0 / math.sqrt(rows - 0.5) + 1.0 / math.sqrt(columns - 0.5)) ** (1.0 / 3.0)


def _edge(rows: int, columns: int, deviations: float) -> float:
    centre, unit = _tracy_widom(rows, columns)
    return centre + unit * (_TRACY_WIDOM[0] + deviations * _TRACY_WIDOM[1])


def _largest(name: str, X: FloatArray) -> Check:
    centre, unit = _tracy_widom(*X.shape)
    mean, deviation = _TRACY_WIDOM
    square = _largest_square(X)
    expected = math.sqrt(centre + unit * mean)
    z = (square - centre - unit * mean) / (unit * deviation)
    error = unit * deviation / (2.0 * expected)
    return Check(f"largest singular value of {name}", math.sqrt(square), expected, error, z)


def _largest_square(X: FloatArray) -> float:
    n = min(X.shape)
    if n <= _SMALL:
        return float(np.linalg.norm(X, 2)) ** 2
    tall = X if X.shape[0] >= X.shape[1] else X.T
    gram = LinearOperator((n, n), matvec=lambda v: tall.T @ (tall @ v), dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)
    return float(eigsh(gram, k=1, which="LA", v0=start, tol=1e-6, return_eigenvectors=False)[0])


def _squares(W: FloatArray) -> FloatArray:
    """Squared singular values, ascending; of large matrices those of their first rows and columns."""
    block = W[:_LARGEST_SPECTRUM, :_LARGEST_SPECTRUM]
    return np.asarray(np.linalg.eigvalsh(block.T @ block))


def _marchenko_pastur(squares: FloatArray) -> Check:
    """Largest distance of the singular values to the quarter circle, in places."""
    m = len(squares)
    x = np.minimum(np.sqrt(np.maximum(squares, 0.0) / m) / 2.0, 1.0)
    places = 2.0 * m / math.pi * (np.arcsin(x) + x * np.sqrt(1.0 - x**2))
    gap = float(np.abs(places - np.arange(m) - 0.5).max() + 0.5)
    error = _PLACES[2]
    return _normal(
        "distance of singular values to their limit law, in places", gap, _PLACES[0] + _PLACES[1] * math.log(m), error
    )
