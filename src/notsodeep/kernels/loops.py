"""Compiled inner loops: a strip of :data:`LANES` pairs of one row at a time, in vector registers.

Shapes are chosen for the compiler: work arrays are slots of one buffer at constant offsets, polynomials run upwards
through blocks of four coefficients, highest first, so that every inner loop becomes vector instructions without
doubt about overlaps. Correctness does not depend on that, speed does (a factor of four).

Everything is in units of the scales: ``V = E[phi(u) phi(v)] / (s t)`` and ``D = E[phi'(u) phi'(v)] = dV/d rho``.
What a strip cannot promise, it marks by NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

LANES = 64
BLOCK = 4  # coefficients of one parity in a block
STEPS = 12  # Newton steps of a strip at most
END = 1.0 - 1e-6  # correlations beyond are left to others
_ROUGH = 3e-4  # size of a step after which the next one, with all terms, is nearly the last
_ROUNDING = 1e-14  # of what the arc-sine law leaves out beyond the second order of a step

_X, _Y, _V, _D, _DD, _SQUARE, _P, _P1, _P2, _G, _T, _ZERO = (k * LANES for k in range(12))
SLOTS = 12
_FLAGS = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinity keep their meaning
_compiled = njit(nogil=True, cache=True, fastmath=_FLAGS, error_model="numpy")


class Rows(NamedTuple):
    """One side of the pairs, row by row; the first axis is the layer."""

    scales: Any
    """``(L, R)``"""
    even: Any
    """``(L, R, 4 B)``: coefficients ``a_k(s) / s`` of even k, from the highest down"""
    odd: Any
    """``(L, R, 4 B)``: of odd k"""


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
    """``(L, 3)``: blocks beyond which the arc-sine law serves instead, mean slope squared, half bend squared"""


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


@_compiled
def _horner(blocks, row, S):
    """Polynomial in the square, with its first derivative."""
    for i in range(LANES):
        S[_P + i] = 0.0
        S[_P1 + i] = 0.0
    for b in range(blocks.shape[0]):
        c = blocks[b]
        r0, r1, r2, r3 = row[4 * b], row[4 * b + 1], row[4 * b + 2], row[4 * b + 3]
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


@_compiled
def _horner_to_second(blocks, row, S):
    """Polynomial in the square, with its first derivative and half its second."""
    for i in range(LANES):
        S[_P + i] = 0.0
        S[_P1 + i] = 0.0
        S[_P2 + i] = 0.0
    for b in range(blocks.shape[0]):
        c = blocks[b]
        r0, r1, r2, r3 = row[4 * b], row[4 * b + 1], row[4 * b + 2], row[4 * b + 3]
        for i in range(LANES):
            x, p, d, e = S[_SQUARE + i], S[_P + i], S[_P1 + i], S[_P2 + i]
            e = e * x + d
            d = d * x + p
            p = p * x + r0 * c[i]
            e = e * x + d
            d = d * x + p
            p = p * x + r1 * c[LANES + i]
            e = e * x + d
            d = d * x + p
            p = p * x + r2 * c[2 * LANES + i]
            e = e * x + d
            d = d * x + p
            p = p * x + r3 * c[3 * LANES + i]
            S[_P + i] = p
            S[_P1 + i] = d
            S[_P2 + i] = e


@_compiled
def _series(even, odd, row_even, row_odd, S):
    """``V`` and ``D`` at the correlations in slot X from Mehler's series."""
    for i in range(LANES):
        S[_SQUARE + i] = S[_X + i] * S[_X + i]
    _horner(even, row_even, S)
    for i in range(LANES):
        S[_V + i] = S[_P + i]
        S[_D + i] = 2.0 * S[_X + i] * S[_P1 + i]
    _horner(odd, row_odd, S)
    for i in range(LANES):
        S[_V + i] += S[_X + i] * S[_P + i]
        S[_D + i] += S[_P + i] + 2.0 * S[_SQUARE + i] * S[_P1 + i]


@_compiled
def _series_to_second(even, odd, row_even, row_odd, S):
    """``V``, ``D`` and ``dD/d rho``."""
    for i in range(LANES):
        S[_SQUARE + i] = S[_X + i] * S[_X + i]
    _horner_to_second(even, row_even, S)
    for i in range(LANES):
        S[_V + i] = S[_P + i]
        S[_D + i] = 2.0 * S[_X + i] * S[_P1 + i]
        S[_DD + i] = 2.0 * S[_P1 + i] + 8.0 * S[_SQUARE + i] * S[_P2 + i]
    _horner_to_second(odd, row_odd, S)
    for i in range(LANES):
        x, square = S[_X + i], S[_SQUARE + i]
        S[_V + i] += x * S[_P + i]
        S[_D + i] += S[_P + i] + 2.0 * square * S[_P1 + i]
        S[_DD + i] += x * (6.0 * S[_P1 + i] + 8.0 * square * S[_P2 + i])


@_compiled
def _arc_sine(mean2, bend2, S):
    """``V``, ``D`` and ``dD/d rho`` of ``m x + d |x|`` (shifted), |rho| <= END; slot ZERO holds ``V`` at 0."""
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
        S[_DD + i] = factor / width


@_compiled
def _furthest(limit, S):
    """Largest |rho| among the lanes that do not exceed ``limit``."""
    most = 0.0
    for i in range(LANES):
        size = abs(S[_X + i])
        size = size if size <= limit else 0.0
        most = max(most, size)
    return most


@_compiled
def _enough(reach, most):
    """Fewest blocks that reach ``most``, or all of them."""
    for b in range(1, reach.shape[0]):
        if reach[b] >= most:
            return b
    return reach.shape[0] - 1


@_compiled
def _newton(a2, limit, S):
    """Leave in P the step towards ``rho = Y + a2 V(rho)``, to third order; return the largest within the limit."""
    most = 0.0
    for i in range(LANES):
        gap = 1.0 - a2 * S[_D + i]
        defect = S[_Y + i] + a2 * S[_V + i] - S[_X + i]
        step = defect / gap
        step = (defect + 0.5 * a2 * S[_DD + i] * step * step) / gap
        S[_P + i] = step
        size = abs(step) if abs(S[_X + i]) <= limit else 0.0
        most = max(most, size)
    return most


@_compiled
def _newton_rough(a2, S):
    """Take a step to second order; return the largest."""
    most = 0.0
    for i in range(LANES):
        step = (S[_Y + i] + a2 * S[_V + i] - S[_X + i]) / (1.0 - a2 * S[_D + i])
        S[_X + i] = min(max(S[_X + i] + step, -END), END)
        most = max(most, abs(step))
    return most


@_compiled
def _arc_leaves(factor, S):
    """Largest third-order remainder ``D'' step^2 / 2`` of the arc-sine law."""
    most = 0.0
    for i in range(LANES):
        x, step = S[_X + i], S[_P + i]
        gap = (1.0 - abs(x)) * (1.0 + abs(x))
        left = 0.5 * factor * step * step / (gap * math.sqrt(gap)) if abs(x) < END else 0.0
        most = max(most, left)
    return most


@_compiled
def _move(S):
    for i in range(LANES):
        S[_X + i] = min(max(S[_X + i] + S[_P + i], -END), END)


@_compiled
def _settle(a2, limit, S):
    """Finish the last step by Taylor's formula; return the largest residual of the fixed point."""
    most = 0.0
    for i in range(LANES):
        step = S[_P + i]
        x = S[_X + i] + step
        S[_V + i] += step * (S[_D + i] + 0.5 * step * S[_DD + i])
        S[_D + i] += step * S[_DD + i]
        size = abs(S[_Y + i] + a2 * S[_V + i] - x) if abs(x) <= limit else 0.0
        S[_X + i] = x
        most = max(most, size)
    return most


@_compiled
def _mark(limit, S):
    """Put NaN where the correlation exceeds ``limit``; return how many lanes that are."""
    count = 0
    for i in range(LANES):
        right = abs(S[_X + i]) <= limit
        S[_V + i] = S[_V + i] if right else np.nan
        count += 0 if right else 1
    return count


@_compiled
def _needs_arc(reach, arc, S):
    """Tell whether the arc-sine law exists and serves the strip better than a series."""
    return arc[0] >= 0.0 and _furthest(END, S) > reach[min(int(arc[0]), reach.shape[0] - 1)]


@_compiled
def _solve(a2, even, odd, row_even, row_odd, laws, layer, S):
    """Solve ``rho = Y + a2 V(rho)`` in every lane; return steps, residual and the correlation that is reached."""
    blocks, reach, rough = laws.blocks[layer], laws.reach[layer], laws.rough[layer]
    slack, arc = laws.slack[layer], laws.arc[layer]
    limit = reach[reach.shape[0] - 1]
    for _ in range(3):
        b = _enough(rough, _furthest(limit, S))
        e, o = even.shape[0] - min(b, blocks[0]), odd.shape[0] - min(b, blocks[1])
        _series(even[e:], odd[o:], row_even[4 * e :], row_odd[4 * o :], S)
        if _newton_rough(a2, S) < _ROUGH:
            break
    for step in range(STEPS):
        if _needs_arc(reach, arc, S):
            end = END
            _arc_sine(arc[1], arc[2], S)
            _newton(a2, end, S)
            done = _arc_leaves(arc[2] * (2.0 / math.pi), S) <= _ROUNDING
        else:
            b = _enough(reach, _furthest(limit, S))
            end = reach[b]
            e, o = even.shape[0] - min(b, blocks[0]), odd.shape[0] - min(b, blocks[1])
            _series_to_second(even[e:], odd[o:], row_even[4 * e :], row_odd[4 * o :], S)
            done = _newton(a2, end, S) <= slack[b]
        if done:
            return step + 1, _settle(a2, end, S), end
        _move(S)
    return STEPS, np.inf, -1.0


@_compiled
def _evaluate(even, odd, row_even, row_odd, laws, layer, S):
    """Leave ``V`` and ``D`` at the correlations in X; return the correlation up to which they are right."""
    blocks, reach, arc = laws.blocks[layer], laws.reach[layer], laws.arc[layer]
    if _needs_arc(reach, arc, S):
        for i in range(LANES):
            S[_X + i] = min(max(S[_X + i], -1.0), 1.0)
        _arc_sine(arc[1], arc[2], S)
        return END
    b = _enough(reach, _furthest(reach[reach.shape[0] - 1], S))
    e, o = even.shape[0] - min(b, blocks[0]), odd.shape[0] - min(b, blocks[1])
    _series(even[e:], odd[o:], row_even[4 * e :], row_odd[4 * o :], S)
    return reach[b]


@_compiled
def implicit(gram, start, stop, rows, columns, laws, a2, source, tangent, ck, ntk, place, record, S):
    """Fill rows ``start:stop`` of a tile with the kernels of a DEQ; ``place``: its first row and column, its width.

    ``source`` is (sigma_b2, sigma_c2); ``tangent`` the weights of G in the NTK, and of G, of the Gram matrix and of 1
    in what is multiplied by ``D / (1 - a2 D)``. ``record`` gets the pairs left, the largest residual and the most steps.
    """
    last_even, last_odd = rows.even.shape[2] - 1, rows.odd.shape[2] - 1
    for strip in range(columns.scales.shape[1]):
        even, odd = columns.even[0, strip], columns.odd[0, strip]
        inverse, scale = columns.inverses[0, strip], columns.scales[0, strip]
        zeroth, first = even[even.shape[0] - 1, 3 * LANES :], odd[odd.shape[0] - 1, 3 * LANES :]
        width = min(LANES, place[2] - strip * LANES)
        for row in range(start, stop):
            g = gram[row, strip * LANES : (strip + 1) * LANES]
            row_even, row_odd, s = rows.even[0, row], rows.odd[0, row], rows.scales[0, row]
            b2, c2 = source[0] / s, source[1] / s
            r0, r1 = a2 * row_even[last_even], a2 * row_odd[last_odd]
            for i in range(LANES):
                y = (b2 * g[i] + c2) * inverse[i]
                zero = r0 * zeroth[i]
                x = (y + zero) / (1.0 - r1 * first[i])
                S[_Y + i] = y
                S[_X + i] = min(max(x, -END), END)
                S[_ZERO + i] = row_even[last_even] * zeroth[i]
            steps, residual, end = _solve(a2, even, odd, row_even, row_odd, laws, 0, S)
            record[0] += _mark(end, S) - (LANES - width if end < 0.0 else 0)
            record[1], record[2] = max(record[1], residual), max(record[2], steps)
            for i in range(LANES):
                value, d = s * scale[i] * S[_V + i], S[_D + i]
                inner = tangent[1] * value + tangent[2] * g[i] + tangent[3]
                S[_G + i] = value
                S[_T + i] = tangent[0] * value + inner * d / (1.0 - a2 * d)
            _write(S, width, ck, ntk, place[0] + row, place[1] + strip * LANES)


@_compiled
def explicit(gram, start, stop, rows, columns, laws, layers, readout, ck, ntk, place, record, S):
    """Fill rows ``start:stop`` of a tile with the kernels of explicit layers; ``place`` as for :func:`implicit`.

    ``layers (L, 4)``: weight variance, bias variance, and the rates of weights and bias. ``record`` gets the pairs left.
    """
    for strip in range(columns.scales.shape[1]):
        width = min(LANES, place[2] - strip * LANES)
        for row in range(start, stop):
            g = gram[row, strip * LANES : (strip + 1) * LANES]
            for i in range(LANES):
                S[_G + i] = g[i]
                S[_T + i] = 0.0
            left = 0
            for layer in range(layers.shape[0]):
                even, odd = columns.even[layer, strip], columns.odd[layer, strip]
                row_even, row_odd, s = rows.even[layer, row], rows.odd[layer, row], rows.scales[layer, row]
                inverse, scale = columns.inverses[layer, strip], columns.scales[layer, strip]
                zeroth, r0 = even[even.shape[0] - 1, 3 * LANES :], row_even[row_even.shape[0] - 1]
                w, b = layers[layer, 0], layers[layer, 1]
                w_rate, b_rate = layers[layer, 2], layers[layer, 3]
                for i in range(LANES):
                    S[_X + i] = (w * S[_G + i] + b) * (inverse[i] / s)
                    S[_ZERO + i] = r0 * zeroth[i]
                left = _mark(_evaluate(even, odd, row_even, row_odd, laws, layer, S), S)
                for i in range(LANES):
                    fed = w * (w_rate * S[_G + i] + S[_T + i]) + b * b_rate
                    S[_T + i] = fed * S[_D + i]
                    S[_G + i] = s * scale[i] * S[_V + i]
            record[0] += left
            for i in range(LANES):
                S[_T + i] += readout * S[_G + i]
            _write(S, width, ck, ntk, place[0] + row, place[1] + strip * LANES)


@_compiled
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
    for top in range(start, stop, 8):
        bottom = min(top + 8, stop)
        for column in range(first, end):
            target = matrix[column, top:bottom]
            for i in range(bottom - top):
                target[i] = matrix[top + i, column]
