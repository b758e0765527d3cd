"""E[phi(u) phi(v)] and E[phi'(u) phi'(v)] in 80-bit arithmetic, on panels that narrow where the functions change.

The principal axes of ``naive_kernels``: ``u = s (c a + d b)``, ``v = t (c a - d b)``, ``c = sqrt((1 + rho)/2)`` and
``d = sqrt((1 - rho)/2)`` for independent a and b. There are no narrow features at any correlation, but at large scales
phi(u) changes within ``width / s`` of the line u = 0, so panels double in width with their distance from it: some
forty of them instead of hundreds. Outer panels narrow where two such lines, or the kinks of phi(u) and phi(v), cross.

Good for functions with no feature away from 0 but their kinks, on which ``width`` says how near their poles are.
"""

import math

import numpy as np

from tests.reference.naive_kernels import gauss, panels

LONG = np.longdouble


def dual(function, s, t, rho, order, extent, graded=True):
    """Return both expectations; without ``graded``, for waves, all panels are ``width`` wide."""
    s, t, rho = LONG(s), LONG(t), LONG(rho)
    sign, rho = (-1, -rho) if rho < 0 else (1, rho)
    c, d = np.sqrt((1 + rho) / 2), np.sqrt((1 - rho) / 2)
    top = max(s, t)
    widest = 1.0 if graded else min(1.0, function.width / float(top))

    centres = crossings(function.kinks, s, sign * t, d)
    cuts = [centres + x for x in offsets(function.width / (d * top) if d > 0 else math.inf, graded)]
    b, outer = panels(np.unique([centres, *cuts]), widest, extent, order, LONG)
    used = outer > 0  # many cuts lie outside
    b, outer = b[used], outer[used]

    lines = [(k / s - d * b) / c for k in function.kinks] + [(sign * k / t + d * b) / c for k in function.kinks]
    for scale, line in ((s, -d * b / c), (t, d * b / c)):
        lines += [line + x for x in offsets(function.width / (c * scale), graded)]
    inside = np.stack(lines, axis=-1) if lines else np.empty((b.size, 0), dtype=LONG)
    a, inner = panels(inside, widest, extent, order, LONG)

    weight = inner * gauss(a) * (outer * gauss(b))[:, None]
    u, v = s * (c * a + d * b[:, None]), sign * t * (c * a - d * b[:, None])
    return [(weight * f(u) * f(v)).sum() for f in (function.phi, function.slope)]


def crossings(kinks, s, t, d):
    """Return where the lines u = k and v = l meet, on the outer axis; k and l are kinks or 0."""
    places = {0.0, *kinks}
    if not d > 0:
        return np.zeros(1, dtype=LONG)
    return np.array([(k / s - m / t) / (2 * d) for k in places for m in places], dtype=LONG)


def offsets(step, graded):
    """Return 0 and +-step, +-2 step, +-4 step and so on, below 1."""
    if not graded:
        return []
    steps = [step * LONG(2) ** k for k in range(math.ceil(-math.log2(step)))] if step < 1 else []
    return [LONG(0), *steps, *(-x for x in steps)]
