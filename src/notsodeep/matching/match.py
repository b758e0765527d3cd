"""``match``: the shallow explicit network with a DEQ's kernel, or the statement that a family has none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from notsodeep.checks import choice, integer
from notsodeep.equivalents.coefficients import KERNELS, Coefficients, coefficients
from notsodeep.errors import ConvergenceError
from notsodeep.matching import hard_tanh, leaky_relu
from notsodeep.matching.proposal import Proposal
from notsodeep.matching.target import Target
from notsodeep.spec import DEQ, MLP, trainable_weights

if TYPE_CHECKING:
    from notsodeep.matching.fidelity import Fidelity

FAMILIES: dict[str, ModuleType] = {"hard_tanh": hard_tanh, "leaky_relu": leaky_relu}
TOLERANCE = 1e-12
"""Relative residual of the equations below which a network counts as matched."""


@dataclass(frozen=True)
class Match:
    """A shallow network for a DEQ, with the evidence."""

    deq: DEQ
    kernel: str
    """``"ck"`` or ``"ntk"``"""
    trainable: frozenset[str]
    """Weights of the DEQ that its NTK trains; the network trains all of its own"""
    family: str
    spec: MLP
    """The network; where the status is not ``matched``, the closest one of the family"""
    residual: float
    """Largest relative miss of the four numbers"""
    status: str
    """``matched``; ``infeasible``: the closest network of the family misses the numbers (for the NTK of leaky ReLU
    layers: the closest that a search from many starts found); ``not_converged``: the search did not settle"""
    reason: str
    """Why this family was taken, and why it does not match if so"""

    @property
    def target(self) -> Coefficients:
        """Coefficients of the DEQ."""
        return coefficients(self.deq, self.kernel, trainable=self.trainable)

    @property
    def achieved(self) -> Coefficients:
        """Coefficients of the network, at the DEQ's scale."""
        return coefficients(self.spec, self.kernel, tau0=self.deq.tau0)

    def report(self, X: Any) -> Fidelity:
        """Return the distances of the exact kernels of the DEQ and of the network on samples ``X (n, p)``."""
        from notsodeep.matching.fidelity import Fidelity

        return Fidelity.of(self, X)


def match(
    deq: DEQ,
    kernel: str = "ck",
    family: str = "auto",
    max_depth: int = 2,
    trainable: str | Iterable[str] = "all",
    on_failure: str = "raise",
) -> Match:
    """Find the shallow explicit network with the same conjugate kernel, or NTK, as a DEQ.

    Two models have the same kernel in high dimension when four numbers agree
    (:func:`~notsodeep.coefficients`); they are solved for within a family of activations.

    Parameters
    ----------
    deq : DEQ
        The model, centred.
    kernel : {"ck", "ntk"}
        Which kernel to reproduce.
    family : {"auto", "hard_tanh", "leaky_relu"}
        ``hard_tanh``: one layer, for odd activations; ``leaky_relu``: two layers; ``auto``: the first of
        them that matches, else the closest.
    max_depth : int
        Most hidden layers to use.
    trainable : "all" or names
        Weights of the DEQ that are trained, for the NTK.
    on_failure : {"raise", "return"}
        What to do when the search did not settle. That a family has no solution is an answer, not a failure.

    Returns
    -------
    Match
        ``spec``, ``residual``, ``status``, ``reason``; ``report(X)`` for the kernel distance on data.

    Raises
    ------
    ValueError
        When an argument is illegal, no family fits ``max_depth``, the kernel is zero, or the DEQ has no stable
        fixed point.
    ConvergenceError
        When the search did not settle and ``on_failure`` is ``"raise"``.

    Notes
    -----
    Source: arXiv:2402.02697, section 4 (its examples 1 and 2 are the two families).

    Examples
    --------
    >>> import notsodeep as nsd
    >>> m = nsd.match(nsd.DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8))
    >>> m.status, m.family, m.spec.depth, m.residual < 1e-12
    ('matched', 'hard_tanh', 1, True)
    """
    if not isinstance(deq, DEQ):
        raise ValueError(f"deq must be a DEQ, got {deq!r}")
    choice("kernel", kernel, KERNELS)
    choice("family", family, ("auto", *FAMILIES))
    choice("on_failure", on_failure, ("raise", "return"))
    names = _candidates(family, integer("max_depth", max_depth, low=1))
    trained = trainable_weights(deq, trainable)
    target = Target.of(deq, kernel, trained)
    if target.numbers[3] == 0.0:
        raise ValueError(f"the {kernel} of {deq!r} with trainable={sorted(trained)} is zero: there is nothing to match")
    proposals = _proposals(target, names)
    name = min(proposals, key=lambda each: (proposals[each].residual > TOLERANCE, proposals[each].residual))
    best = proposals[name]
    status = _status(best)
    found = Match(
        deq, kernel, trained, name, best.spec, best.residual, status, _reason(target, name, family, proposals)
    )
    if status == "not_converged" and on_failure == "raise":
        raise ConvergenceError(
            f"the search in the family {name} stopped at a relative residual of {best.residual:.1e} without settling; "
            "try another family, or on_failure='return' for the closest network"
        )
    return found


def _candidates(family: str, max_depth: int) -> list[str]:
    names = list(FAMILIES) if family == "auto" else [family]
    fitting = [name for name in names if FAMILIES[name].DEPTH <= max_depth]
    if not fitting:
        raise ValueError(
            f"max_depth must be at least {FAMILIES[family].DEPTH} for the family {family}, got {max_depth}"
        )
    return fitting


def _proposals(target: Target, names: list[str]) -> dict[str, Proposal]:
    """What the families propose, shallowest first, up to the first one that matches."""
    proposals: dict[str, Proposal] = {}
    for name in names:
        proposals[name] = FAMILIES[name].propose(target)
        if proposals[name].residual <= TOLERANCE:
            break
    return proposals


def _status(best: Proposal) -> str:
    if best.residual <= TOLERANCE:
        return "matched"
    return "infeasible" if best.settled else "not_converged"


def _reason(target: Target, name: str, family: str, proposals: dict[str, Proposal]) -> str:
    kind = "odd" if target.is_odd else "even" if target.is_even else "neither odd nor even"
    chosen = f"{name}: the target is {kind}" if family == "auto" else f"{name}: as asked"
    if proposals[name].residual <= TOLERANCE:
        return chosen
    return "; ".join([chosen, *(f"{each}: {proposal.reason}" for each, proposal in proposals.items())])
