"""A DEQ with a bias, or an activation that is not centred, matched through a centred one without bias.

With ``phi = phi_c + mu``, ``mu = E[phi(tau_star xi)]``, the recurrent weights see ``mu`` as a bias that all samples
share: ``sigma_a A 1 mu / sqrt(m)`` is Gaussian of variance ``sigma_a2 mu^2``. Together with the bias of variance
``sigma_c2`` it is one more input, ``c0 = sqrt((sigma_a2 mu^2 + sigma_c2) / sigma_b2)`` for every sample, of a centred
DEQ without bias; and its features are those of that DEQ, plus ``mu``::

    tau_star^2 = sigma_a2 E[phi_c^2] + sigma_b2 (tau0^2 + c0^2)
    G(x, y)    = G_c((x, c0), (y, c0)) + mu^2

The first line always holds, so both have one scale ``tau_star``. The second one holds for samples of norm ``tau0``. At
other norms ``E[phi_c] = e(|x|)`` is not zero, and ``G`` has ``mu (e(|x|) + e(|y|))`` besides. A shallow network whose
last layer is shifted by ``mu`` has such a term too, of the same slope up to its sign (that is what ``alpha2`` is), and
the sign can be chosen: ``sigma`` and ``-sigma`` have one kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray, choice, samples
from notsodeep.data import Statistics
from notsodeep.errors import NotCoveredError
from notsodeep.kernels import api
from notsodeep.kernels.distance import relative_distance
from notsodeep.kernels.scalar import rest_point
from notsodeep.matching.match import Match, match
from notsodeep.matching.target import KERNELS
from notsodeep.spec import DEQ, MLP, Layer, Parallel

_MOST = 250  # samples that networks are compared on
_NO_MEAN = 1e-7  # share of E[phi^2]: what is left where the variances of drawn weights are not quite those of a spec
_SAME_SCALE = 1e-6  # relative: ten times what a mean that is left out may move the scale


@dataclass(frozen=True)
class Reduction:
    """A centred DEQ without bias that stands for another one on samples with one more coordinate."""

    deq: DEQ
    """The one that is reduced"""
    centred: DEQ
    """Of samples ``(x, c0)``"""
    mean: float
    """``mu``: constant part of the features"""
    constant: float
    """``c0``: the coordinate that all samples share"""

    @classmethod
    def of(cls, deq: DEQ) -> Reduction:
        """Return the reduction of ``deq``.

        Raises
        ------
        ValueError
            When it has no stable kernel fixed point.
        NotCoveredError
            When the centred DEQ settles at another scale: there are several, and the theory does not say which one.

        Examples
        --------
        >>> from notsodeep.matching.reduction import Reduction
        >>> from notsodeep.spec import DEQ
        >>> Reduction.of(DEQ("tanh", center=False, sigma_c2=0.2)).centred
        DEQ(activation=tanh(), sigma_a2=0.2, sigma_b2=0.8, tau0=1.1180..., center=True)
        """
        rest = rest_point(deq)
        mean = float(rest.moments.mean)
        mean = mean if mean**2 > _NO_MEAN * float(rest.moments.square) else 0.0
        square = (deq.sigma_a2 * mean**2 + deq.sigma_c2) / deq.sigma_b2
        centred = DEQ(rest.activation, deq.sigma_a2, deq.sigma_b2, math.sqrt(deq.tau0**2 + square))
        settled = rest_point(centred).tau_star
        if not math.isclose(settled, rest.tau_star, rel_tol=_SAME_SCALE):
            raise NotCoveredError(
                f"{deq!r} settles at tau_star = {rest.tau_star:.6g}, its centred form at {settled:.6g}: "
                "there are several to choose from, and no network can be matched"
            )
        return cls(deq, centred, mean, math.sqrt(square))

    def augmented(self, X: FloatArray) -> FloatArray:
        """Return the samples ``(n, p + 1)`` of the centred DEQ; without a constant they stay as they are."""
        return np.column_stack([X, np.full(len(X), self.constant)]) if self.constant else X

    def back(self, spec: MLP | Parallel, sign: float = 1.0) -> MLP | Parallel:
        """Return a network for the augmented samples as one for the samples: its bias is the weight of the constant.

        Its last layer is shifted by ``sign mu``; of several branches, that of the first one alone.
        """
        if isinstance(spec, Parallel):
            first, *others = spec.branches
            return Parallel((self._of_branch(first, sign), *(self._of_branch(other, 0.0) for other in others)))
        return self._of_branch(spec, sign)

    def _of_branch(self, mlp: MLP, sign: float) -> MLP:
        first = mlp.layers[0]
        bias = first.bias_var + first.weight_var * self.constant**2
        layers = [Layer(first.activation, first.weight_var, first.learning_rate, bias), *mlp.layers[1:]]
        shift = sign * self.mean
        if shift:
            last = layers[-1]
            shifted = last.activation.shifted(shift)
            layers[-1] = Layer(shifted, last.weight_var, last.learning_rate, last.bias_var)
        return MLP(tuple(layers))


@dataclass(frozen=True)
class ReducedMatch:
    """A shallow network for any DEQ, and how far its exact kernels are on the samples it was chosen on."""

    deq: DEQ
    match: Match
    """Of the centred DEQ, on augmented samples"""
    spec: MLP | Parallel
    """The network, for samples in the units of ``deq``"""
    distance: float
    """Largest relative distance of the exact kernels that were matched, in the Frobenius norm"""

    @property
    def status(self) -> str:
        """Of :attr:`match`."""
        return self.match.status


def match_any(
    deq: DEQ,
    X: Any,
    kernel: str = "ck",
    family: str = "auto",
    max_depth: int = 2,
    on_failure: str = "raise",
) -> ReducedMatch:
    """Find a shallow explicit network with the kernel of any DEQ, for the samples ``X (n, p)``.

    As :func:`~notsodeep.match`, but the DEQ may have a bias or an activation that is not centred. Among the networks
    that have the coefficients of the reduced DEQ (:class:`Reduction`), the one is taken whose exact kernel is closest
    to that of ``deq`` itself on up to 250 of the samples. NTKs are those of all weights.

    Raises
    ------
    ValueError
        When an argument is illegal or the DEQ has no stable fixed point.
    ConvergenceError
        When no network was found and ``on_failure`` is ``"raise"``.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.matching.reduction import match_any
    >>> X, _ = nsd.load_dataset("digits", n=100)
    >>> found = match_any(nsd.DEQ("relu", center=False, sigma_c2=0.1), X)
    >>> found.status, found.spec.depth, found.distance < 0.05
    ('matched', 2, True)
    """
    if not isinstance(deq, DEQ):
        raise ValueError(f"deq must be a DEQ, got {deq!r}")
    choice("kernel", kernel, KERNELS)
    X = samples("X", X, at_least=2)
    reduction = Reduction.of(deq)
    stats = Statistics.from_data(reduction.augmented(X))
    found = match(reduction.centred, kernel, family, max_depth, on_failure=on_failure, stats=stats)
    some = X[:: -(-len(X) // _MOST)]
    wanted = _exact(deq, kernel, some)
    specs = [solution.spec for solution in found.solutions] or [found.spec]
    apart: dict[float, MLP | Parallel] = {}
    for spec in (reduction.back(one, sign) for one in specs for sign in _signs(reduction)):
        pairs = zip(wanted, _exact(spec, kernel, some), strict=True)
        apart.setdefault(max(relative_distance(*pair).frobenius for pair in pairs), spec)
    best = min(apart)
    return ReducedMatch(deq, found, apart[best], best)


def _signs(reduction: Reduction) -> tuple[float, ...]:
    return (1.0, -1.0) if reduction.mean else (1.0,)


def _exact(spec: DEQ | MLP | Parallel, kernel: str, X: FloatArray) -> tuple[Any, ...]:
    if kernel == "ck":
        return (api.ck(spec, X),)
    return api.kernels(spec, X) if kernel == "both" else (api.ntk(spec, X),)
