"""Compiled inner loops: a strip of :data:`LANES` pairs of one row at a time, in vector registers.

Shapes are chosen for the compiler: work arrays are slots of one buffer at constant offsets, polynomials run upwards
through blocks of four coefficients, highest first, so that every inner loop becomes vector instructions without
doubt about overlaps. Correctness does not depend on that, speed does (a factor of four).

Everything is in units of the scales: ``V = E[phi(u) phi(v)] / (s t)`` and ``D = E[phi'(u) phi'(v)] = dV/d rho``.
What a strip cannot promise, it marks by NaN.

All of it is one file because the compiler's cache looks for changes in the file of the outermost function only.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core.options import DefaultOptions

LANES = 64
BLOCK = 4  # coefficients of one parity in a block
STEPS = 12  # Newton steps of a strip at most
END = 1.0 - 1e-6  # correlations beyond are left to others
_ROUGH = 3e-3  # size of a step after which the next one, with all terms, is nearly the last
_ROUNDING = 1e-14  # of what the arc-sine law leaves out beyond the third order of a step

_X, _Y, _V, _D, _D2, _D3, _SQUARE, _P, _P1, _P2, _P3, _G, _T, _ZERO, _SIZE, _SUM_G, _SUM_T = (
    k * LANES for k in range(17)
)
SLOTS = 17
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},  # NaN and infinity keep their meaning
    "error_model": "numpy",
}
if hasattr(DefaultOptions, "_nrt"):  # arrays are only borrowed here: counting references would cost a third of the time
    _OPTIONS["_nrt"] = False
_inlined = njit(inline="always", **_OPTIONS)  # passing many arrays on costs more than the work of a strip


def _compiled(function: Any) -> Any:
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # there is no place that a cache could be written to
        return njit(**_OPTIONS)(function)


class Rows(NamedTuple):
    """One side of the pairs, row by row; the first axis is the layer."""

    scales: Any
    """``(L, R)``"""
    even: Any
    """``(L, R, B, 4)``: coefficients ``a_k(s) / s`` of even k, from the highest down"""
    odd: Any
    """``(L, R, B, 4)``: of odd k"""


class Columns(NamedTuple):
    """The other side in strips, filled up with zeros."""

    scales: Any
    """``(L, S, LANES)``"""
    inverses: Any
    """``(L, S, LANES)``: one over the scale, 0 where there is no sample"""
    even: Any
    """``(L, S, B, 4 LANES)``"""
    odd: Any
    """``(L, S, B, 4 LANES)``"""


class Laws(NamedTuple):
    """How the expectations of each layer are taken; the first axis is the layer."""

    blocks: Any
    """``(L, 2)``: numbers of blocks of even and odd coefficients that are not all zero"""
    reach: Any
    """``(L, B + 1)``: correlation up to which so many blocks are exact"""
    rough: Any
    """``(L, B + 1)``: up to which they are good for a first step"""
    slack: Any
    """``(L, B + 1)``: Newton step small enough to be finished by Taylor's formula"""
    arc: Any
    """``(L, 3)``: 1 where the arc-sine law serves instead (else 0), mean slope squared, half bend squared"""


def _arcsine_series(degree: int = 12) -> Any:
    """Return ``p`` with ``asin(x) = x + x z p(z)``, ``z = x^2 <= 1/4``: Taylor's series, economised."""
    k = np.arange(1, 40)
    taylor = np.cumprod((2 * k - 1) / (2 * k)) / (2 * k + 1)
    fitted = np.polynomial.Chebyshev.interpolate(
        lambda z: np.polynomial.polynomial.polyval(z, taylor), degree, domain=[0.0, 0.25]
    )
    return tuple(float(c) for c in fitted.convert(kind=np.polynomial.Polynomial).coef)


_ASIN = _arcsine_series()
_HALF_PI = math.pi / 2


@_inlined
def _horner(columns, layer, strip, rows, row, first, S):
    """Polynomial in the square, with its first derivative."""
    for i in range(LANES):
        S[_P + i] = 0.0
        S[_P1 + i] = 0.0
    for b in range(first, columns.shape[2]):
        c, r = columns[layer, strip, b], rows[layer, row, b]
        r0, r1, r2, r3 = r[0], r[1], r[2], r[3]
        for i in range(LANES):
            x, p, d = S[_SQUARE + i], S[_P + i], S[_P1 + i]
            d = d * x + p
            p = p * x + r0 * c[i]
            d = d * x + p
            p = p * x + r1 * c[LANES + i]
            d = d * x + p
            p = p * x + r2 * c[2 * LANES + i]
            d = d * x + p
            p = p * x + r3 * c[3 * LANES + i]
            S[_P + i] = p
            S[_P1 + i] = d


@_inlined
def _horner_to_third(columns, layer, strip, rows, row, first, S):
    """Polynomial in the square, with its derivatives over their factorials, up to the third."""
    for i in range(LANES):
        S[_P + i] = 0.0
        S[_P1 + i] = 0.0
        S[_P2 + i] = 0.0
        S[_P3 + i] = 0.0
    for b in range(first, columns.shape[2]):
        c, r = columns[layer, strip, b], rows[layer, row, b]
        r0, r1, r2, r3 = r[0], r[1], r[2], r[3]
        for i in range(LANES):
            x, p, d, e, f = S[_SQUARE + i], S[_P + i], S[_P1 + i], S[_P2 + i], S[_P3 + i]
            f = f * x + e
            e = e * x + d
            d = d * x + p
            p = p * x + r0 * c[i]
            f = f * x + e
            e = e * x + d
            d = d * x + p
            p = p * x + r1 * c[LANES + i]
            f = f * x + e
            e = e * x + d
            d = d * x + p
            p = p * x + r2 * c[2 * LANES + i]
            f = f * x + e
            e = e * x + d
            d = d * x + p
            p = p * x + r3 * c[3 * LANES + i]
            S[_P + i] = p
            S[_P1 + i] = d
            S[_P2 + i] = e
            S[_P3 + i] = f


@_inlined
def _series(rows, columns, laws, layer, row, strip, b, S):
    """``V`` and ``D`` at the correlations in slot X from Mehler's series."""
    for i in range(LANES):
        S[_SQUARE + i] = S[_X + i] * S[_X + i]
    first = columns.even.shape[2] - min(b, laws.blocks[layer, 0])
    _horner(columns.even, layer, strip, rows.even, row, first, S)
    for i in range(LANES):
        S[_V + i] = S[_P + i]
        S[_D + i] = 2.0 * S[_X + i] * S[_P1 + i]
    first = columns.odd.shape[2] - min(b, laws.blocks[layer, 1])
    _horner(columns.odd, layer, strip, rows.odd, row, first, S)
    for i in range(LANES):
        S[_V + i] += S[_X + i] * S[_P + i]
        S[_D + i] += S[_P + i] + 2.0 * S[_SQUARE + i] * S[_P1 + i]


@_inlined
def _series_to_third(rows, columns, laws, layer, row, strip, b, S):
    """``V``, ``D`` and the first two derivatives of ``D``."""
    for i in range(LANES):
        S[_SQUARE + i] = S[_X + i] * S[_X + i]
    first = columns.even.shape[2] - min(b, laws.blocks[layer, 0])
    _horner_to_third(columns.even, layer, strip, rows.even, row, first, S)
    for i in range(LANES):
        x, square = S[_X + i], S[_SQUARE + i]
        S[_V + i] = S[_P + i]
        S[_D + i] = 2.0 * x * S[_P1 + i]
        S[_D2 + i] = 2.0 * S[_P1 + i] + 8.0 * square * S[_P2 + i]
        S[_D3 + i] = x * (24.0 * S[_P2 + i] + 48.0 * square * S[_P3 + i])
    first = columns.odd.shape[2] - min(b, laws.blocks[layer, 1])
    _horner_to_third(columns.odd, layer, strip, rows.odd, row, first, S)
    for i in range(LANES):
        x, square = S[_X + i], S[_SQUARE + i]
        S[_V + i] += x * S[_P + i]
        S[_D + i] += S[_P + i] + 2.0 * square * S[_P1 + i]
        S[_D2 + i] += x * (6.0 * S[_P1 + i] + 8.0 * square * S[_P2 + i])
        S[_D3 + i] += 6.0 * S[_P1 + i] + 48.0 * square * (S[_P2 + i] + square * S[_P3 + i])


@_compiled
def _arc_sine(mean2, bend2, S):
    """The same for ``m x + d |x|`` (shifted), |rho| <= END; slot ZERO holds ``V`` at 0."""
    factor = bend2 * (2.0 / math.pi)
    for i in range(LANES):
        x = S[_X + i]
        size = abs(x)
        near = size > 0.5
        z = 0.5 * (1.0 - size) if near else x * x
        root = math.sqrt(z) if near else size
        p = _ASIN[12]
        p = p * z + _ASIN[11]
        p = p * z + _ASIN[10]
        p = p * z + _ASIN[9]
        p = p * z + _ASIN[8]
        p = p * z + _ASIN[7]
        p = p * z + _ASIN[6]
        p = p * z + _ASIN[5]
        p = p * z + _ASIN[4]
        p = p * z + _ASIN[3]
        p = p * z + _ASIN[2]
        p = p * z + _ASIN[1]
        p = p * z + _ASIN[0]
        arc = root + root * z * p
        arc = _HALF_PI - 2.0 * arc if near else arc
        arc = arc if x > 0.0 else -arc
        width = math.sqrt((1.0 - size) * (1.0 + size))
        S[_V + i] = S[_ZERO + i] + mean2 * x + factor * (x * arc - x * x / (1.0 + width))
        S[_D + i] = mean2 + factor * arc
        S[_D2 + i] = factor / width
        S[_D3 + i] = factor * x / (width * width * width)


@_compiled
def _largest(S):
    """Largest entry of slot SIZE, which is used up: halving makes vector instructions, a running maximum none."""
    for i in range(32):
        S[_SIZE + i] = max(S[_SIZE + i], S[_SIZE + 32 + i])
    for i in range(16):
        S[_SIZE + i] = max(S[_SIZE + i], S[_SIZE + 16 + i])
    for i in range(8):
        S[_SIZE + i] = max(S[_SIZE + i], S[_SIZE + 8 + i])
    most = S[_SIZE]
    for i in range(1, 8):
        most = max(most, S[_SIZE + i])
    return most


@_compiled
def _furthest(limit, S):
    """Largest |rho| among the lanes that do not exceed ``limit``."""
    for i in range(LANES):
        size = abs(S[_X + i])
        S[_SIZE + i] = size if size <= limit else 0.0
    return _largest(S)


@_inlined
def _enough(reach, layer, most):
    """Fewest blocks that reach ``most``, or all of them."""
    for b in range(1, reach.shape[1]):
        if reach[layer, b] >= most:
            return b
    return reach.shape[1] - 1


@_compiled
def _newton(a2, limit, S):
    """Leave in P the step towards ``rho = Y + a2 V(rho)``, to fourth order; return the largest within the limit."""
    for i in range(LANES):
        slack = 1.0 / (1.0 - a2 * S[_D + i])
        defect = S[_Y + i] + a2 * S[_V + i] - S[_X + i]
        step = defect * slack
        step = (defect + a2 * step * step * (0.5 * S[_D2 + i] + step * S[_D3 + i] / 6.0)) * slack
        S[_P + i] = step
        S[_SIZE + i] = abs(step) if abs(S[_X + i]) <= limit else 0.0
    return _largest(S)


@_compiled
def _newton_rough(a2, limit, S):
    """Take a step to second order; return the largest within the limit."""
    for i in range(LANES):
        step = (S[_Y + i] + a2 * S[_V + i] - S[_X + i]) / (1.0 - a2 * S[_D + i])
        S[_SIZE + i] = abs(step) if abs(S[_X + i]) <= limit else 0.0
        S[_X + i] = min(max(S[_X + i] + step, -END), END)
    return _largest(S)


@_compiled
def _arc_leaves(factor, S):
    """Largest fourth-order remainder ``D''' step^3 / 6`` of the arc-sine law."""
    for i in range(LANES):
        x, step = S[_X + i], S[_P + i]
        gap = (1.0 - abs(x)) * (1.0 + abs(x))
        left = factor * (1.0 + 2.0 * x * x) * abs(step * step * step) / (6.0 * gap * gap * math.sqrt(gap))
        S[_SIZE + i] = left if abs(x) < END else 0.0
    return _largest(S)


@_compiled
def _move(S):
    for i in range(LANES):
        S[_X + i] = min(max(S[_X + i] + S[_P + i], -END), END)


@_compiled
def _settle(a2, limit, S):
    """Finish the last step by Taylor's formula; return the largest residual of the fixed point."""
    for i in range(LANES):
        step = S[_P + i]
        x = S[_X + i] + step
        value = S[_V + i] + step * (S[_D + i] + step * (0.5 * S[_D2 + i] + step * S[_D3 + i] / 6.0))
        S[_V + i] = value
        S[_D + i] += step * (S[_D2 + i] + 0.5 * step * S[_D3 + i])
        S[_SIZE + i] = abs(S[_Y + i] + a2 * value - x) if abs(x) <= limit else 0.0
        S[_X + i] = x
    return _largest(S)


@_compiled
def _mark(limit, S):
    """Put NaN where the correlation exceeds ``limit``; return how many lanes that are."""
    count = 0
    for i in range(LANES):
        right = abs(S[_X + i]) <= limit
        S[_V + i] = S[_V + i] if right else np.nan
        count += 0 if right else 1
    return count


@_inlined
def _solve(a2, rows, columns, laws, layer, row, strip, S):
    """Solve ``rho = Y + a2 V(rho)`` in every lane; return steps, residual and the correlation that is reached."""
    is_arc, mean2, bend2 = laws.arc[layer, 0] > 0.0, laws.arc[layer, 1], laws.arc[layer, 2]
    limit = END if is_arc else laws.reach[layer, laws.reach.shape[1] - 1]
    for _ in range(3):
        if is_arc:
            _arc_sine(mean2, bend2, S)
        else:
            b = _enough(laws.rough, layer, _furthest(limit, S))
            _series(rows, columns, laws, layer, row, strip, b, S)
        if _newton_rough(a2, limit, S) < _ROUGH:
            break
    for step in range(STEPS):
        if is_arc:
            end = END
            _arc_sine(mean2, bend2, S)
            _newton(a2, end, S)
            done = _arc_leaves(bend2 * (2.0 / math.pi), S) <= _ROUNDING
        else:
            b = _enough(laws.reach, layer, _furthest(limit, S))
            end = laws.reach[layer, b]
            _series_to_third(rows, columns, laws, layer, row, strip, b, S)
            done = _newton(a2, end, S) <= laws.slack[layer, b]
        if done:
            return step + 1, _settle(a2, end, S), end
        _move(S)
    return STEPS, np.inf, -1.0


@_inlined
def _evaluate(rows, columns, laws, layer, row, strip, S):
    """Leave ``V`` and ``D`` at the correlations in X; return the correlation up to which they are right."""
    if laws.arc[layer, 0] > 0.0:
        for i in range(LANES):
            S[_X + i] = min(max(S[_X + i], -1.0), 1.0)
        _arc_sine(laws.arc[layer, 1], laws.arc[layer, 2], S)
        return END
    b = _enough(laws.reach, layer, _furthest(laws.reach[layer, laws.reach.shape[1] - 1], S))
    _series(rows, columns, laws, layer, row, strip, b, S)
    return laws.reach[layer, b]


@_inlined
def _begin(gram, rows, columns, row, strip, a2, source, S):
    """Leave the source in Y, ``V`` at 0 in ZERO, and in X what the first two coefficients make of them."""
    g, inverse = gram[row, strip], columns.inverses[0, strip]
    even, odd = columns.even[0, strip, columns.even.shape[2] - 1], columns.odd[0, strip, columns.odd.shape[2] - 1]
    s = rows.scales[0, row]
    b2, c2 = source[0] / s, source[1] / s
    r0, r1 = rows.even[0, row, rows.even.shape[2] - 1, 3], a2 * rows.odd[0, row, rows.odd.shape[2] - 1, 3]
    for i in range(LANES):
        y = (b2 * g[i] + c2) * inverse[i]
        zero = r0 * even[3 * LANES + i]
        x = (y + a2 * zero) / (1.0 - r1 * odd[3 * LANES + i])
        S[_Y + i] = y
        S[_ZERO + i] = zero
        S[_X + i] = min(max(x, -END), END)


@_inlined
def _finish(gram, rows, columns, row, strip, a2, tangent, S):
    """Leave the kernels in G and T."""
    g, scale = gram[row, strip], columns.scales[0, strip]
    s = rows.scales[0, row]
    t0, t1, t2, t3 = tangent[0], tangent[1], tangent[2], tangent[3]
    for i in range(LANES):
        value, d = s * scale[i] * S[_V + i], S[_D + i]
        S[_G + i] = value
        S[_T + i] = t0 * value + (t1 * value + t2 * g[i] + t3) * d / (1.0 - a2 * d)


@_compiled
def implicit(gram, upper, rows, columns, laws, a2, source, tangent, ck, ntk, place, record, S):
    """Fill a tile with the kernels of a DEQ; ``upper``: strips that are wholly below the diagonal are left out.

    ``gram`` is ``(R, S, LANES)``; ``source`` (sigma_b2, sigma_c2); ``tangent`` the weights of G in the NTK, and of G,
    of the Gram matrix and of 1 in what is multiplied by ``D / (1 - a2 D)``; ``place`` the first row and column of the
    tile and its width. ``record`` gets the pairs left, the largest residual and the most steps.
    """
    for strip in range(columns.scales.shape[1]):
        width = min(LANES, place[2] - strip * LANES)
        last = min(gram.shape[0], (strip + 1) * LANES) if upper else gram.shape[0]
        for row in range(last):
            _begin(gram, rows, columns, row, strip, a2, source, S)
            steps, residual, end = _solve(a2, rows, columns, laws, 0, row, strip, S)
            record[0] += _mark(end, S) - (LANES - width if end < 0.0 else 0)
            record[1], record[2] = max(record[1], residual), max(record[2], steps)
            _finish(gram, rows, columns, row, strip, a2, tangent, S)
            _write(S, width, ck, ntk, place[0] + row, place[1] + strip * LANES)


@_inlined
def _enter(rows, columns, layers, layer, row, strip, S):
    """Leave the correlations of a layer's pre-activations in X, ``V`` at 0 in ZERO."""
    inverse, even = columns.inverses[layer, strip], columns.even[layer, strip, columns.even.shape[2] - 1]
    s, r0 = rows.scales[layer, row], rows.even[layer, row, rows.even.shape[2] - 1, 3]
    w, b = layers[layer, 0] / s, layers[layer, 1] / s
    for i in range(LANES):
        S[_X + i] = (w * S[_G + i] + b) * inverse[i]
        S[_ZERO + i] = r0 * even[3 * LANES + i]


@_inlined
def _leave(rows, columns, layers, layer, row, strip, S):
    """Leave the kernels of a layer in G and T."""
    scale, s = columns.scales[layer, strip], rows.scales[layer, row]
    w, own, bias = layers[layer, 0], layers[layer, 0] * layers[layer, 2], layers[layer, 1] * layers[layer, 3]
    for i in range(LANES):
        S[_T + i] = (own * S[_G + i] + w * S[_T + i] + bias) * S[_D + i]
        S[_G + i] = s * scale[i] * S[_V + i]


@_inlined
def _add(first, S):
    """Add the kernels of a branch to those of the branches before it."""
    for i in range(LANES):
        S[_SUM_G + i] = S[_G + i] + (0.0 if first else S[_SUM_G + i])
        S[_SUM_T + i] = S[_T + i] + (0.0 if first else S[_SUM_T + i])


@_compiled
def explicit(gram, upper, rows, columns, laws, layers, depths, readout, ck, ntk, place, record, S):
    """Fill a tile with the kernels of explicit layers; arguments as for :func:`implicit`.

    ``layers (L, 4)``: weight variance, bias variance, the rates of weights and bias. ``depths`` tells how many of the
    layers each branch has; kernels of branches add. ``record`` gets the pairs left, once for each branch.
    """
    for strip in range(columns.scales.shape[1]):
        width = min(LANES, place[2] - strip * LANES)
        last = min(gram.shape[0], (strip + 1) * LANES) if upper else gram.shape[0]
        for row in range(last):
            g = gram[row, strip]
            layer = 0
            for branch in range(depths.shape[0]):
                for i in range(LANES):
                    S[_G + i] = g[i]
                    S[_T + i] = 0.0
                left = 0
                for _ in range(depths[branch]):
                    _enter(rows, columns, layers, layer, row, strip, S)
                    left = _mark(_evaluate(rows, columns, laws, layer, row, strip, S), S)
                    _leave(rows, columns, layers, layer, row, strip, S)
                    layer += 1
                record[0] += left
                _add(branch == 0, S)
            for i in range(LANES):
                S[_G + i] = S[_SUM_G + i]
                S[_T + i] = S[_SUM_T + i] + readout * S[_SUM_G + i]
            _write(S, width, ck, ntk, place[0] + row, place[1] + strip * LANES)


@_inlined
def _write(S, width, ck, ntk, row, first):
    """Copy the values of a strip; a matrix that is not wanted has no rows."""
    if ck.shape[0]:
        target = ck[row, first : first + width]
        for i in range(width):
            target[i] = S[_G + i]
    if ntk.shape[0]:
        target = ntk[row, first : first + width]
        for i in range(width):
            target[i] = S[_T + i]


@_compiled
def mirror(matrix, start, stop, first, end):
    """Set ``matrix[first:end, start:stop]`` to the transpose of ``matrix[start:stop, first:end]``, in small squares."""
    for left in range(first, end, 32):
        for top in range(start, stop, 8):
            bottom = min(top + 8, stop)
            for column in range(left, min(left + 32, end)):
                target = matrix[column, top:bottom]
                for i in range(bottom - top):
                    target[i] = matrix[top + i, column]


@_compiled
def symmetrize(matrix, first_row, first_column, size):
    """Copy what is above the diagonal of a square part below it."""
    for i in range(size):
        for j in range(i):
            matrix[first_row + i, first_column + j] = matrix[first_row + j, first_column + i]
