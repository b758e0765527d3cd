"""One hidden layer with the kernel of a DEQ to all orders, for samples of one norm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from notsodeep.activations import activation
from notsodeep.checks import choice, number
from notsodeep.kernels.spherical import SphereKernel, sphere
from notsodeep.matching.signs import lightest
from notsodeep.matching.truncation import ROUNDING, KernelSeries, Truncation
from notsodeep.spec import DEQ, MLP, Layer, trainable_weights

DEFAULT_ERROR = 0.1
"""Error allowed at the worst cosine. Of the degrees that stay within it one that needs little width is taken, and its
error is mostly far smaller: of ReLU, tanh, SiLU, GELU, ELU and softplus up to sigma_a2 = 0.8 at most 0.01 (CK) and
0.085 (NTK), both of ReLU"""
MOST = 16
"""Highest degree: beyond it the moments of the layer are not captured within 13 standard deviations"""
_LIGHT = 8  # degrees up to here are tried for the least width; beyond it more degrees only make tails heavier
_SLACK = 1.1  # so much more variance than the least is given for a smaller error; the CK of orthogonal samples has 1
_RATES = (0.25, 0.5, 1.0, 2.0)  # of the first layer, for the NTK: on the kernels measured the best lies between


@dataclass(frozen=True)
class SphereDesign:
    """One hidden layer ``sum_k a_k h_k(x / tau0)`` with the kernel of a DEQ, for samples of norm ``tau0``."""

    deq: DEQ
    kernel: str
    """``"ck"`` or ``"ntk"``"""
    trained: frozenset[str]
    """The weights that the NTK of the DEQ is of; the network trains all of its own"""
    spec: MLP
    """The network"""
    degree: int
    """Highest Hermite polynomial"""
    error: float
    """Bound of the difference of the two kernels over all cosines, relative to the diagonal, on which they agree"""
    variance: float
    """Width times the relative variance of a diagonal entry of the kernel of a finite network"""


def design(deq: DEQ, kernel: str, trained: Iterable[str], error: float = DEFAULT_ERROR) -> SphereDesign:
    """Return one hidden layer with a kernel of ``deq``, for samples of norm ``deq.tau0``.

    On a sphere ``f(rho) = sum_k c_k rho^k`` with ``c_k >= 0``, and the CK of ``sum_k a_k h_k(x / tau0)`` is
    ``sum_k a_k^2 rho^k``, its NTK ``sum_k (1 + c k) a_k^2 rho^k`` with the learning rate c of the layer: the
    two are equal term by term, up to the degree N at which the layer stops. What is left of the even terms and of
    the odd ones goes into the last two coefficients, so that the diagonal (rho = 1) and opposite samples (rho = -1)
    are exact; the terms that the four equations see (of degree 0, 1 and 2, and the diagonal) always are.

    Signs of ``a_k`` and the rate c are those for which a diagonal entry of the kernel of a finite network varies
    least. So is the degree, within the error asked for; where a tenth more variance buys a smaller error, it is taken.

    Parameters
    ----------
    deq : DEQ
        The model, centred or not, with or without bias.
    kernel : {"ck", "ntk"}
        Which kernel to reproduce.
    trained : iterable of str
        Weights of the DEQ that its NTK is of; of no account for the CK.
    error : float
        Largest difference of the kernels at any cosine, relative to the diagonal (1e-10 to 1).

    Returns
    -------
    SphereDesign
        With ``spec``, ``degree``, the certified ``error`` and the ``variance`` at finite width.

    Raises
    ------
    ValueError
        When an argument is illegal, the kernel is 0, no degree up to 16 reaches ``error``, or the DEQ has no stable
        fixed point.
    ConvergenceError
        When the kernel cannot be tabulated, or expanded in powers.

    Notes
    -----
    A kink of phi gives ``c_k ~ k^(-5/2)`` in the CK and ``k^(-3/2)`` in the NTK: errors fall as ``N^(-3/2)`` and
    ``N^(-1/2)`` only, while the width that is needed grows exponentially with N. Sources: arXiv:2308.16425 (the
    sphere), arXiv:2106.03186 (one layer for a given kernel).

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.matching.sphere_exact import design
    >>> found = design(nsd.DEQ("silu"), "ck", {"readout"}, error=1e-3)
    >>> found.spec.depth, found.error < 1e-3
    (1, True)
    """
    if not isinstance(deq, DEQ):
        raise ValueError(f"deq must be a DEQ, got {deq!r}")
    choice("kernel", kernel, ("ck", "ntk"))
    chosen = trainable_weights(deq, trained)
    target = number("error", error, low=10.0 * ROUNDING, high=1.0)
    exact = sphere(deq, kernel, chosen)
    if not exact(1.0) > 0.0:
        raise ValueError(f"the {kernel} of {deq!r} with trained={sorted(chosen)} is zero: there is nothing to match")
    rates = (0.0,) if kernel == "ck" else _RATES
    candidates = [(series, lightest(series.coefficients, rates)) for series in _within(exact, target)]
    least = max(min(layer.variance for _, layer in candidates), 1.0 if kernel == "ck" else 0.0)
    light = [candidate for candidate in candidates if candidate[1].variance <= _SLACK * least]
    series, layer = min(light, key=lambda candidate: candidate[0].error)
    phi = activation("hermite", coefficients=layer.coefficients, scale=deq.tau0)
    spec = MLP((Layer(phi, learning_rate=layer.rate or 1.0),))
    return SphereDesign(deq, kernel, chosen, spec, series.degree, series.error, layer.variance)


def _within(exact: SphereKernel, error: float) -> list[Truncation]:
    """Return the truncations of small degree that stay within ``error``, or the first of a higher one."""
    series = KernelSeries(exact)
    reached: list[Truncation] = []
    for degree in range(1, MOST + 1):
        if degree > _LIGHT and reached and reached[-1].error <= error:
            break
        found = series.truncated(degree)
        if found is not None:
            reached.append(found)
    fitting = [found for found in reached if found.error <= error]
    if not fitting:
        raise ValueError(_out_of_reach(exact, error, reached))
    return fitting


def _out_of_reach(exact: SphereKernel, error: float, reached: list[Truncation]) -> str:
    least = min((found.error for found in reached), default=1.0)
    return (
        f"error must be at least {least:.2g} for the {exact.kernel} of {exact.spec!r}, which a Hermite layer of degree "
        f"{MOST} reaches, got {error:g}; its terms fall slowly: ask for less, or take piecewise-linear layers "
        '(family="leaky_relu", for odd activations "hard_tanh")'
    )
