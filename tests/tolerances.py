"""Every bound that a test compares with, in one table, and the comparison that prints the error achieved.

A bound says what the method promises, not what a run happened to reach: it is derived from the precision of the
arithmetic, the order of the method or the noise of the data, as its line says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EXACT = 1e-15
"""Same formula, other library or order of the sums: a few units in the last place."""

ROUNDING = 1e-14
"""Sums of some thousand rounded terms; quadrature to rounding."""

MOMENTS = 1e-14
"""Gaussian moments against 50-digit values, relative to the integral of the absolute value of the integrand."""

TABLE = 1e-13
"""Values interpolated from a converged Chebyshev table, which stops at 4e-15 of the largest coefficient."""

ROOTS = 1e-13
"""Roots of scalar equations: rounding of the moments times the conditioning of the root, below 10 in the tests."""

INTERPOLATED = 1e-10
"""Derivative by piecewise Legendre interpolation: rounding of the values times the squared degree over the width."""

CENTRAL = 1e-8
"""Central differences, step 1e-5: its square times a third derivative, plus 1e-16 over the step."""

SAMPLED = 2e-4
"""A maximum looked up on a grid instead of solved for."""

SERIES = 1e-10
"""A truncated Mehler series, or a plain Gauss-Hermite grid, of a smooth function."""

KERNEL = 1e-12
"""Kernels, of sqrt(K_ii K_jj): 1e-13 of the bivariate expectations times the conditioning of the fixed point."""

SAME_PAIR = 1e-13
"""The same pair met elsewhere in the matrix, where another branch or another table may serve it."""

DEFINITE = -1e-10
"""Smallest eigenvalue of a kernel, of the mean one: rounding leaves a singular one slightly indefinite."""

COEFFICIENTS = 1e-12
"""Equivalents and matches: rounding of the moments times the conditioning of the fixed point and of 1 / r^2."""

LINEAR_SOLVE = 1e-13
"""Of the condition number: rounding of a solution by elimination or by the Woodbury identity."""

LANCZOS = 1e-12
"""Eigenvalues by Lanczos to machine precision, of the largest eigenvalue."""

PUBLISHED = 0.25
"""Around a published error: three draws of one mixture differ by 1 to 5 per cent, and the draws are others."""

SYMMETRY_FLOOR = 1e-18
"""Unit of a number that symmetry makes vanish: odd functions have E[phi''] = 0, of which rounding leaves the square."""

DERIVED = 2e-10
"""Second derivatives of a Chebyshev interpolant of the exact kernels: some 1e-14 over the squared half width."""

VANISHED = 1e-28
"""A number that symmetry makes vanish, absolute: the square of a moment that rounding leaves at 1e-14."""

INTERPOLATED_KERNEL = 1e-11
"""Tangent kernel of which the derivative of the dual is interpolated, of the diagonal."""

DIFFERENCES = 2e-6
"""Finite differences of order six (norms: four) with step 0.02 of smooth functions."""

STATIONARY = 1e-7
"""Of the point: a minimum is flat, so a relative change of 1e-14 of the sum of squares shows as its root."""

GRID_POINT = 2e-5
"""A minimum looked up on a grid of step 1e-5."""

LEAKY_RELU = 1e-9
"""Slopes of a matched leaky ReLU: rounding of the numbers over the slope of the cubic at its root."""

EVEN_SLOPE = 1e-7
"""Mean slope of a layer matched to an even function, absolute: it enters as its square."""

SCANNED = 1e-4
"""Resolution of the scan for the closest network, whose cost it can only overrate."""

HARD_TANH = 1e-10
"""Slope and width of a matched hard tanh: rounding of the numbers over how little a large width changes them."""

NEARLY_A_SIGN = 1e-6
"""What the narrowest layer, a clip at a millionth of tau0, lacks to a sign: 0.53 times that."""

MISS = 1e-9
"""Residual of a network that does not match: rounding of the numbers over those that are small."""

SPECTRAL = 1e-6
"""Spectral norm of a small difference of kernels, of which digits cancel: Lanczos against all eigenvalues."""

FROBENIUS = 1e-9
"""Frobenius norm of a small difference of kernels, of which digits cancel."""

EQUILIBRIUM = 1e-13
"""Relative residual of a solved state: the tolerance is 2.2e-14, and the steps contract."""

EQUILIBRIUM_FLOAT32 = 5e-5
"""Relative residual of a state solved in float32: the tolerance is 1.2e-5."""

REFERENCE_STATE = 1e-10
"""A state of the reference, which stops at a relative step of 1e-12."""

SHIFT = 1e-12
"""Between states of a plain and of a centred function, each solved to 2e-14."""

RECORDED = 1e-6
"""A residual of some 1e-8 computed anew from states: rounding of the states over it."""

FORWARD = 1e-13
"""A forward pass or a product written out in other order: rounding of sums over the width."""

GRADCHECK = 1e-7
"""Central differences of step 1e-6 of states solved to 2e-14, absolute."""

GRADCHECK_RELATIVE = 1e-6
"""Central differences of step 1e-6, of the derivative: curvature within one step."""

UNROLLED = 1e-11
"""States and gradients of two equilibria, each solved to 1e-12."""

REFERENCE_NTK = 1e-9
"""Each entry of an NTK of gradients at states solved to 1e-12: sums of both signs."""

NTK_FLOOR = 1e-12
"""Entries of an NTK of gradients that cancel, absolute."""

FLOAT32 = 2e-5
"""A network of width 40 in float32 against the same one in float64."""

STANDARD_ERRORS = 4.5
"""Of dozens of entries: a right one fails with probability below 1e-3."""

STANDARD_ERRORS_OF_REPEATS = 4.0
"""Of a dozen of means over 1500 repetitions: right ones fail with probability below 1e-3."""

SAMPLES = 1e-12
"""Means, norms and norm terms of scaled samples: sums over samples and features."""

ENTRIES = 1e-10
"""Each entry of samples scaled, or scaled and back: differences to the mean cancel."""

ONE_FACTOR = 1e-9
"""Ratios of entries of samples before and after scaling: small entries have few digits left."""

MEAN_OF_ROWS = 3e-16
"""A mean that is summed exactly: one rounding."""

COVARIANCES = 1e-13
"""One mixture with its covariances stored in other forms: rounding of sums over the features."""

SINGULAR = 1e-6
"""How far samples leave the range of a singular covariance: the root of the rounding of its eigenvalues."""

TRACES = 1e-11
"""Traces of products of covariances against the covariances themselves: centred sums over the samples."""

TRACE_ROUTES = 1e-10
"""Statistics by two routes, over samples or over features, and norm terms that sum to zero."""

CENTRED_TRACES = 1e-9
"""Differences of traces and of norms to their mean, which cancel."""

SHARES = 0.02
"""Two of ten classes, as a share of a published file: the classes are not quite of one size."""

OTHER_HALF = 0.1
"""Mean squared norm of a test part, of other samples than those that set the scale."""

NOT_SCALED = 1e-3
"""What the mean squared norm of a test part misses 1 by at least, as training samples set the scale."""

SPREAD = 0.3
"""Standard deviation of a hundred samples: four of its standard errors."""

SIX_DIGITS = 5e-6
"""Half a unit of six printed digits."""

THREE_DIGITS = 5e-3
"""Half a unit of three printed digits."""

TWO_DIGITS = 0.05
"""Half a unit of two printed digits."""

SHARE_DIGITS = 5.001e-4
"""A share printed to a tenth of a per cent, absolute, and rounding where it lies half way."""

FLOAT32_READOUT = 1e-5
"""A ridge regression solved in double and kept in float32, on float32 features."""

UNTIED_DIAGONAL = 1e-7
"""Recursion over layers on its diagonal, where arccos turns rounding of rho = 1 into its square root."""


SINGLE = 5e-7
"""Kernels in single precision, of the largest entry: units in the last place of the Gram matrix of seven features."""

SINGLE_VALUES = 1e-6
"""Activations in single precision: eight units in the last place of the value, or of one."""

SINGLE_NTK = 2e-6
"""The same for the NTK, whose slope towards correlation 1 multiplies them."""

EXPECTATIONS = 1e-13
"""Bivariate expectations, of sqrt(G_uu G_vv): 1e-14 left out of a series, or quadrature whose last step has two digits
more than the 1e-12 by which it changed the result, and rounding of the route."""

FLAT_EXPECTATIONS = 1e-11
"""The same where phi is flat within h standard deviations around 0: terms h^4 times as large cancel, h up to 5."""

PARTIALS = 1e-10
"""Derivatives of bivariate expectations by two routes: the remainder 1e-11 of a series and rounding times k^2."""

INTEGRATED_BACK = 2e-11
"""Derivatives summed along a path, against the difference of its ends: rounding of 1 over an angle of 1e-5."""

INTERPOLATED_CURVATURE = 1e-8
"""Second derivatives of a Legendre series of degree 23: rounding 2e-14 of the values times its fourth power."""

KERNEL_DIFFERENCES = 2e-9
"""Gradients of kernels by differences of order six and step 2e-3: 1e-14 of the kernels over the step, and rounding."""

KERNEL_DIFFERENCES_CLOSE = 2e-7
"""The same of close samples, where the step is 2e-5."""

CUSP = 5e-6
"""Central differences across the tip of a cone: what is odd but not smooth stays, a share of the step of 1e-4."""

GRADCHECK_OF_KERNELS = 1e-6
"""Central differences with step 1e-6, absolute and relative: 1e-14 of the kernels over the step, and curvature."""

HERMITE_COEFFICIENT = 1e-14
"""Coefficients c_k of a kernel's power series, of sqrt(c_k f(1)): each is squares of Hermite coefficients, known to
2e-16 of the root mean square, times the conditioning of the fixed point."""

SMALL_MEAN = 1e-8
"""The square of a mean of 1e-6 or so, of itself: rounding of 1e-16 of the mean by two quadratures."""

STENCIL = 1e-9
"""Five-point differences of step 1e-3: its fourth power times a fifth derivative, and 1e-14 of the function over it."""

STENCIL_AT_A_CUSP = 1e-7
"""The same at a distance of 0.1 from where the function behaves like a root: its fifth derivative grows there."""


TRUNCATED = 1e-13
"""A Mehler series cut off where its remainder is 1e-14, against an exact expectation of 1e-13 of the same bound."""


PRODUCT_DIFFERENCES = 2e-9
"""Differences of order six and step 0.02 of a kernel in the product: 1e-14 over its square, a seventh derivative."""

LOG_DETERMINANT = 1e-14
"""Of the condition number and the order: rounding of each eigenvalue, of the largest, on either side."""


NORM_AWARE_TERMS = 2e-6
"""Entries of a norm-aware equivalent, of the largest: terms left out of functions of two norms, 1e-7 of their size."""


THIRD_DIFFERENCES = 3e-5
"""The same for a third derivative by differences of order four: the fourth power of the step times a seventh one."""


EDGES = 1e-12
"""Edges of a spectrum: folds of the solution, of second order in its error, by some steps of continuation."""

DENSITY = 1e-10
"""Densities by Chebyshev series whose last coefficients are 1e-12 of the largest, over the slope of the angle."""

MASS = 1e-11
"""Masses of intervals and atoms, and means: integrals of such series."""

VARIANCE = 1e-10
"""Variances by such series: a square cancels."""

QUADRATURE = 1e-8
"""Adaptive quadrature, which asks for 1.5e-8, of functions smooth in the root of the distance to an edge."""

RESIDUAL = 1e-12
"""Residual of the equations of a spectrum, of their terms: 100 roundings, and those of the traces."""

QUANTILE = 1e-4
"""What a density like the inverse root makes of a step of 1e-9 at a hard edge: three times its root."""

STIELTJES = 1e-6
"""A sum over panels of a thousandth of an interval, where the density has kinks: those to the power 3/2, over 40."""

OF_A_DRAW = 0.02
"""Means of resolvents over four draws of matrices of order 150 to 450: 1 / n, and some for close eigenvalues."""

KOLMOGOROV = 6.0
"""Distance of the distribution of n eigenvalues to the limit, times n: they are rigid, off by one or a few places."""


FIVE_DIGITS = 5e-5
"""Numbers written with five significant digits."""

WHOLE_PERCENT = 5.001e-3
"""Shares written in percent with two significant digits: half a percent above 10 %."""

NODES_OF_A_PICTURE = 1e-2
"""Trapezoids on 1001 nodes crowded at the edges, the infinite end of a hard edge left out."""

BINS = 1e-8
"""Edges of forty equal bins around 0.25, 4e-7 wide."""

CENTRED = 1e-13
"""Means of three layers one after another: each scale has the errors of those before."""


OUTLIER = 1e-11
"""Isolated eigenvalues: roots to rounding, over the slope of the response, which is infinite at an edge."""

ALIGNMENT = 1e-8
"""Alignments of isolated eigenvalues, absolute: near an edge they change like the root of the distance to it."""

STRENGTH = 1e-9
"""Strengths at an edge, where the solution has an error of the order of the last step along the fold."""

FINITE_SIZE = 0.5
"""Bias of isolated eigenvalues (of themselves) and alignments, times n: chance gives an alignment of its order."""

SAME_ACCURACY = 0.02
"""Mean accuracies of four networks of width 1024 each: standard error 0.003 of a difference, bias up to 0.009."""


NEARLY_ATTAINED = 5e-3
"""How much the certified error of a sphere-exact layer may exceed the largest one: the cells of the certificate make it
the degree over 8192 of the tail, which is a few times the error."""

DRAWN_VARIANCE = 4.5
"""Standard errors between a variance to first order in 1 / width and that of thousands of drawn networks."""

POLYNOMIAL_MOMENTS = 1e-11
"""Fourth moments of Hermite series up to degree 16, relative: their terms cancel by up to three digits."""


PAIR_MOMENTS = 1e-9
"""Moments of two units against a plain Gauss-Hermite grid of 180 nodes, of functions with poles at distance 1.5."""

PAIR_DIFFERENCES = 1e-8
"""Their derivatives by differences of order four: step 1e-3 to the fourth power, and the error of the grid over it."""

MOVED_BENDS = 1e-15
"""What the rounding of the argument at a bend, relative to its width, makes of the integral of a second derivative."""

EXPECTATIONS_OF_NARROW_BENDS = 1e-12
"""Expectations of pairs of functions that turn within a thousandth of the scale, of their size."""


LAYER_MOMENTS = 1e-13
"""Closed forms of moments and Hermite coefficients up to a_14 of a layer, of the largest: sums of both signs."""


BLURRED_SQUARES = 2e-8
"""Trapezoids of step h = 0.16 s at s = 1.4, of functions blurred by w = 0.3: exp(-(pi w / h)^2)."""


REFINED = 1e-2
"""Refinement stops where a step lowers the sum of squares by less than 2 %: points may be its root off the best."""


SHORT_SERIES = 2e-5
"""Slopes that jump, by Mehler series that end before k = 15, at a cosine of 0.6: k a_k^2 < 0.3 k^-1.5, times 0.6^14
summed, 1e-5 for each layer."""


SPENT_ON_A_GRID = 2e-4
"""A minimum looked up at knots 0.005 apart, which it can only exceed: half the second derivative times (0.0025)^2."""

DRAWN_ENTROPY = 0.06
"""Entropy of 3000 drawn weights: the share of zeros is off by 0.008, the slope over the entropy 2.4, three times."""

WIDTH_TIMES_LOSS = 12.0
"""Relative bias of mean losses under gradient descent, times the width: of a ReLU twin 8.2, 4.3, 2.6 % (standard errors
0.6 to 1.1) at widths 128, 256, 512, of the DEQ 7 ± 2 % at 128, since a loss is convex in the NTK, which scatters."""


TRAINED = 1e-12
"""Weights and losses after a dozen steps of training by two routes: rounding of each step, of the largest weight."""


PER_SAMPLE = 1e-11
"""Empirical NTKs from factors against gradients of one sample at a time, of the largest entry; equilibria and adjoints
are each solved to 2e-14, and the networks contract to it by about 1/2 an iteration."""


KERNEL_STATISTICS = 1e-11
"""Means and standard errors of a few kernels by two routes, of the largest entry: rounding, and equilibria to 2e-14."""

REDUCED = 3e-3
"""Kernel of a network matched through a reduced DEQ, on samples of one norm, where the reduction is exact: what a
design is off, whose four numbers agree (0.1 % of the entries)."""

REDUCED_AT_OTHER_NORMS = 0.05
"""The same on samples whose squared norms differ by a third: terms of second order in that, measured 0.1 to 3 %."""


def assert_close(actual: Any, desired: Any, tolerance: float, *, scale: Any = None, what: str = "") -> None:
    """Fail unless ``|actual - desired| <= tolerance * scale`` everywhere, and print the error achieved.

    ``scale`` is what errors are relative to: by default the largest ``|desired|``; pass an array (of the shape of
    ``desired``) for a bound on each entry, or 1.0 for an absolute one.
    """
    __tracebackhide__ = True
    actual, desired = _array(actual), _array(desired)
    if actual.shape != desired.shape:
        raise AssertionError(f"{what or 'shapes'}: got {actual.shape}, want {desired.shape}")
    if not actual.size:
        raise AssertionError(f"{what or 'comparison'}: nothing to compare")
    size = np.broadcast_to(np.abs(desired).max() if scale is None else np.abs(_array(scale)), desired.shape)
    same = actual == desired  # infinities, and zeros whose size is zero
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(same, 0.0, np.abs(actual - desired) / size)
    wrong = ~(error <= tolerance)  # NaN is wrong
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        where = f" at {tuple(map(int, worst))}" if error.ndim else ""
        raise AssertionError(
            f"{what or 'error'}: {error[worst]:.3e} of {size[worst]:.6g} exceeds {tolerance:.1e}{where} "
            f"({int(wrong.sum())} of {error.size} do): got {actual[worst]!r}, want {desired[worst]!r}"
        )


def _array(x: Any) -> np.ndarray:
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    return np.asarray(x, dtype=np.float64)


SOLVED = 1e-13
"""Fixed points by iteration to a relative step of 2.2e-14, divided by one minus the rate of contraction."""

FUNCTIONAL = 1e-12
"""The same derivative of a small equilibrium by another transformation: both are solved to 2e-14."""

IMPLICIT = 1e-10
"""Implicit against unrolled gradients, relative in norm: 2e-14 over the square of one minus the rate of contraction."""

COMPILED = 1e-14
"""The same operations in another order."""

UNROLLED_AS_SOLVED = 1e-8
"""Gradients through as many iterations as the states took: of ``k`` they are behind by a factor of about ``k``."""
