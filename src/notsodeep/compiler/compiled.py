"""What a compiled DEQ is: the network, and all that is known about how well it stands for the DEQ."""

from __future__ import annotations

from dataclasses import dataclass, field

from notsodeep.compiler.fidelity import FARTHER, CompiledFidelity
from notsodeep.compiler.weights import WeightsCheck
from notsodeep.matching.reduction import ReducedMatch
from notsodeep.networks import ExplicitNetwork, ParallelNetwork


@dataclass(frozen=True)
class Variances:
    """Mean squares of the weights of ``z = phi(W z + U x + b)``, in the units of the samples."""

    sigma_a2: float
    """``m mean(W^2)``"""
    sigma_b2: float
    """``mean(U^2)``"""
    sigma_c2: float
    """``mean(b^2)``"""
    tau0: float
    """Root mean squared norm of the samples"""
    matched_sigma_a2: float
    """What was taken for ``sigma_a2``: a lower one where the kernel is not stable"""
    tau_star: float
    """Root mean squared pre-activation: ``tau_star^2 = matched_sigma_a2 E[phi^2] + sigma_b2 tau0^2 + sigma_c2``"""
    contraction: float
    """``matched_sigma_a2 E[phi'^2]``: below 1, the kernel is stable"""

    @property
    def stable(self) -> bool:
        """Whether a DEQ of these variances has a stable kernel."""
        return self.matched_sigma_a2 == self.sigma_a2


@dataclass(frozen=True)
class Compiled:
    """A shallow network in the place of a DEQ."""

    module: ExplicitNetwork | ParallelNetwork = field(repr=False)
    """Maps samples, in the units and precision of the DEQ, to outputs; its features stand for states over sqrt(m)"""
    readout: str
    """What the readout was fitted to: ``labels``, ``distilled``, or ``none``"""
    classes: tuple[object, ...] | None
    """Labels of the columns of the output, if it was fitted to labels"""
    variances: Variances
    weights: WeightsCheck = field(repr=False)
    match: ReducedMatch = field(repr=False)
    fidelity: CompiledFidelity = field(repr=False)

    @property
    def covered(self) -> bool:
        """Whether the weights look random, their variances have a stable kernel, and it is the DEQ's own one."""
        return not self._objections()

    @property
    def verdict(self) -> str:
        """Whether the theory covers this DEQ, why, and how well the network stands for it, in plain words."""
        return " ".join(part for part in (*self._cover(), self._match(), self._likeness()) if part)

    def _cover(self) -> list[str]:
        kernel = self.fidelity.kernel
        drawn = [gap.centred.frobenius for gap in kernel.drawn]
        others = (
            f"those of {len(drawn)} freshly drawn networks are {_percent(min(drawn))} to {_percent(max(drawn))} from "
            f"it, and up to {FARTHER:g} times their median passes"
            if drawn
            else "and freshly drawn networks do not reach their equilibria"
        )
        own = _percent(kernel.own.centred.frobenius)
        measured = f"On {kernel.n} held-out samples its own kernel is {own} from that of infinite width, {others}."
        if self.covered:
            return [f"The theory covers this DEQ: {self.weights.reason}.", measured]
        return [
            f"The theory does not cover this DEQ: {'; '.join(self._objections())}.",
            measured,
            "The network has the kernel of a DEQ with random weights of the same variances: of what training brought, "
            "it has only what its own readout can express.",
        ]

    def _objections(self) -> list[str]:
        """Return why the theory does not cover the DEQ; nothing where it does."""
        found, kernel = self.variances, self.fidelity.kernel
        out = [self.weights.reason] if self.weights.verdict in ("not random", "too few") else []
        if not found.stable:
            out.append(
                f"with sigma_a2 = {found.sigma_a2:.4g} there is no stable kernel of infinite width, so that "
                f"{found.matched_sigma_a2:.4g} is taken in what follows"
            )
        if not kernel.covered:
            farther = "its kernel is farther from that of its variances than chance explains"
            out.append(
                farther if kernel.drawn else "nothing tells how far its kernel may be from that of its variances"
            )
        return out

    def _match(self) -> str:
        exact = _percent(self.fidelity.kernel.exact.centred.frobenius)
        if self.match.status == "matched":
            return f"At infinite width the kernels of DEQ and network differ by {exact}."
        return f"No network was found with its coefficients ({self.match.status}): the closest kernel is {exact} off."

    def _likeness(self) -> str:
        found = self.fidelity.predictions
        if found is None:
            return "Neither has a readout: the kernels are all that is compared."
        reference = "refitted" if self.readout == "labels" else "own"
        whose = "the DEQ with a readout fitted in the same way" if self.readout == "labels" else "the DEQ"
        agreement, error = found.agreement[reference], found.error[reference]
        parts = []
        if agreement is not None:
            parts.append(f"give the same class as {whose} for {_percent(agreement)}")
        if error is not None:
            parts.append(f"differ from its outputs by {_percent(error)} of their spread")
        return f"On {found.n} held-out samples the network's outputs {' and '.join(parts)}."


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"
