"""``match``: the shallow explicit network with a DEQ's kernels, or the statement that a family has none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from notsodeep.checks import choice, integer
from notsodeep.data import Statistics
from notsodeep.equivalents.coefficients import Coefficients, coefficients
from notsodeep.errors import ConvergenceError
from notsodeep.kernels.scalar import warn_if_off_scale
from notsodeep.matching.families import FAMILIES
from notsodeep.matching.plan import Found, design, label, sizes
from notsodeep.matching.probe import Probe
from notsodeep.matching.search import Solution
from notsodeep.matching.sphere_exact import DEFAULT_ERROR
from notsodeep.matching.sphere_exact import design as sphere_design
from notsodeep.matching.target import KERNELS, NAMES, NORMS, Target, has_equal_norms, network_weights
from notsodeep.spec import DEQ, MLP, Parallel, trainable_weights

if TYPE_CHECKING:
    from notsodeep.matching.fidelity import Fidelity

_APART = 0.05  # kernel distance beyond which it is said
_OFF_SCALE = 0.05  # of the squared norm of samples from the one that a sphere-exact design is for


@dataclass(frozen=True)
class Match:
    """A shallow network for a DEQ, with the evidence."""

    deq: DEQ
    kernel: str
    """``"ck"``, ``"ntk"`` or ``"both"``"""
    trainable: frozenset[str]
    """Weights of the DEQ that its NTK trains"""
    family: str
    spec: MLP | Parallel
    """The network; where the status is not ``matched``, the closest one that was found"""
    residual: float
    """Largest relative miss of the numbers, computed anew from the spec"""
    status: str
    """``matched``; ``infeasible``: a relation that all networks of the family obey rules the target out, and ``reason``
    says which; ``not_converged``: no solution was found, and no such relation is known"""
    reason: str
    """Why this network was taken, and why others were not; or why there is none"""
    distance: float
    """Kernel distance: the largest difference of the exact kernels over the norms and cosines of the data (by default
    squared norms of 0.6 to 1.4 times ``tau0**2``, cosines of -0.4 to 0.6; of data, 5 to 95 % of the squared norms and
    cosines up to 0.7 in size). That of two samples is relative to the largest entry at their norms, at least a
    thousandth of the diagonal, that of a sample with itself to its value"""
    idle: tuple[str, ...] = ()
    """Numbers that the data make idle, and that were left out"""
    solutions: tuple[Solution, ...] = ()
    """Networks with these numbers, the closest found of each family and size: the one taken, then by distance"""

    @property
    def network_trainable(self) -> frozenset[str]:
        """Weights of the network that its NTK trains: all, but the readout only if the DEQ's is trained."""
        return network_weights(self.spec, "readout" in self.trainable)

    @property
    def target(self) -> Coefficients | tuple[Coefficients, Coefficients]:
        """Coefficients of the DEQ; those of both kernels for ``"both"``."""
        return self._of(self.deq, trainable=self.trainable)

    @property
    def achieved(self) -> Coefficients | tuple[Coefficients, Coefficients]:
        """Coefficients of the network, at the DEQ's scale; those of both kernels for ``"both"``."""
        return self._of(self.spec, tau0=self.deq.tau0, trainable=self.network_trainable)

    def _of(self, spec: Any, **options: Any) -> Any:
        if self.kernel == "both":
            return coefficients(spec, "ck", **options), coefficients(spec, "ntk", **options)
        return coefficients(spec, self.kernel, **options)

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
    stats: Statistics | None = None,
    error: float | None = None,
) -> Match:
    """Find the shallow explicit network with the same conjugate kernel, NTK, or both, as a DEQ.

    Two models have the same kernel in high dimension when four numbers agree
    (:func:`~notsodeep.coefficients`); they are solved for within a family of activations. What freedom is left
    goes into the exact kernels, over the norms and cosines that occur in the data.

    Parameters
    ----------
    deq : DEQ
        The model, centred.
    kernel : {"ck", "ntk", "both"}
        Which kernel to reproduce. For the NTK, the layers get learning rates of their own; for both, the network
        may be two branches side by side (:class:`~notsodeep.Parallel`).
    family : str
        ``hard_tanh``, ``leaky_relu``, ``three_slope``: layers of straight pieces; ``soft_slopes``: three slopes with
        blurred knots; ``quadratic``, ``cubic``, ``quartic``: short Hermite series, whose slopes are unbounded.
        ``auto``: the shallowest network of bounded slopes that matches (a further layer has to bring the kernel three
        times closer), and a series where there is none. ``hermite``: for samples of norm ``tau0`` alone, one layer
        whose kernel is the DEQ's to all orders that matter (docs/sphere-exact.md).
    max_depth : int
        Most hidden layers, one after another, to use.
    trainable : "all" or names
        Weights of the DEQ that are trained, for the NTK. The network trains all of its own, at the learning rates of
        its spec, but the readout only if the DEQ's is trained.
    on_failure : {"raise", "return"}
        What to do when no solution was found and nothing proves that there is none. That a family has no solution is
        an answer, not a failure.
    stats : Statistics, optional
        Of the data that the network is for: their norms and cosines are those that the kernels are compared at, and
        numbers that they make idle (samples of equal norm) are left out.
    error : float, optional
        For ``hermite``: largest difference of the kernels at any cosine, relative to the diagonal; 0.1 by default, and
        mostly far smaller.

    Returns
    -------
    Match
        ``spec``, ``residual``, ``distance``, ``status``, ``reason``; ``report(X)`` for the kernel distance on data.

    Raises
    ------
    ValueError
        When an argument is illegal, the kernel is zero, or the DEQ has no stable fixed point.
    ConvergenceError
        When no solution was found, not every size is ruled out, and ``on_failure`` is ``"raise"``.

    Notes
    -----
    Source: arXiv:2402.02697, section 4 (its examples 1 and 2 are hard tanh and leaky ReLU). The NTK, both kernels, and
    the relations that rule networks out: docs/matching.md.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> m = nsd.match(nsd.DEQ("relu", sigma_a2=0.2, sigma_b2=0.8))
    >>> m.status, m.family, m.spec.depth, m.residual < 1e-12
    ('matched', 'leaky_relu', 2, True)
    >>> both = nsd.match(nsd.DEQ("gelu"), kernel="both")
    >>> both.status, [branch.depth for branch in both.spec.branches]
    ('matched', [1, 2])
    """
    if not isinstance(deq, DEQ):
        raise ValueError(f"deq must be a DEQ, got {deq!r}")
    choice("kernel", kernel, KERNELS)
    choice("on_failure", on_failure, ("raise", "return"))
    integer("max_depth", max_depth, low=1, high=3)
    if stats is not None and not isinstance(stats, Statistics):
        raise ValueError(f"stats must be a Statistics, got {stats!r}")
    trained = trainable_weights(deq, trainable)
    check_family(family, kernel, trained, error)
    if stats is not None:
        warn_if_off_scale(deq, float(stats.squared_norms.mean()))
    if family == "hermite":
        return _of_one_norm(deq, kernel, trained, stats, DEFAULT_ERROR if error is None else error)
    target = Target.of(deq, kernel, trained, stats)
    for name in target.kernels:
        if target.of_kernel(name)[3] == 0.0:
            raise ValueError(
                f"the {name} of {deq!r} with trainable={sorted(trained)} is zero: there is nothing to match"
            )
    probe = Probe.of(deq, target.kernels, trained, stats)
    return _answer(deq, target, trained, family, design(deq, target, probe, family, max_depth), on_failure)


def check_family(family: str, kernel: str, trained: frozenset[str], error: float | None) -> None:
    """Raise ``ValueError`` for a family that is unknown, or cannot be what is asked of it whatever the data."""
    choice("family", family, ("auto", *FAMILIES, "hermite"))
    if family != "hermite":
        if error is not None:
            raise ValueError(f"error goes with family='hermite', got error={error!r} and family={family!r}")
    elif kernel == "both":
        raise ValueError("family='hermite' has one kernel at a time, got kernel='both': one layer cannot have both")
    elif kernel == "ntk" and "readout" not in trained:
        raise ValueError(f"family='hermite' trains its readout, got trainable={sorted(trained)} for the DEQ")


def _of_one_norm(deq: DEQ, kernel: str, trained: frozenset[str], stats: Statistics | None, error: float) -> Match:
    if stats is not None and not has_equal_norms(stats):
        raise ValueError(
            "family='hermite' is for samples of equal norm, and those of stats differ: scale each sample to norm "
            f"{deq.tau0:g} (scale='sample'), or take another family"
        )
    if stats is not None and abs(stats.squared_norms.mean() / deq.tau0**2 - 1.0) > _OFF_SCALE:
        raise ValueError(
            f"family='hermite' is for samples of norm tau0 = {deq.tau0:g} alone, and those of stats have "
            f"{stats.squared_norms.mean() ** 0.5:.6g}: set tau0 to it, or scale them"
        )
    found = sphere_design(deq, kernel, trained, error)
    target = replace(Target.of(deq, kernel, trained), equal_norms=True)
    return Match(
        deq=deq,
        kernel=kernel,
        trainable=trained,
        family="hermite",
        spec=found.spec,
        residual=target.residual(found.spec),
        status="matched",
        reason=(
            f"hermite x 1: as asked; degree {found.degree}, kernels of samples of norm {deq.tau0:g} differ by at "
            f"most {found.error:.2g} of the diagonal; at width m a diagonal entry has the relative variance "
            f"{found.variance:.3g} / m"
        ),
        distance=found.error,
        idle=(NAMES[kernel][NORMS],),
    )


def _answer(deq: DEQ, target: Target, trained: frozenset[str], family: str, found: Found, on_failure: str) -> Match:
    status = "matched" if found.solutions else "not_converged" if found.open else "infeasible"
    idle = tuple(NAMES[name][NORMS] for name in target.kernels) if target.equal_norms else ()
    reason = _reason(target, found, family, idle)
    if status == "not_converged" and on_failure == "raise":
        raise ConvergenceError(
            f"no network was found, and not every one is ruled out ({reason}): try another family, a larger max_depth, "
            "or on_failure='return' for the closest network"
        )
    best = found.closest
    return Match(
        deq=deq,
        kernel=target.kernel,
        trainable=trained,
        family=best.family,
        spec=best.spec,
        residual=best.residual,
        status=status,
        reason=reason,
        distance=best.distance,
        idle=idle,
        solutions=found.solutions,
    )


def _reason(target: Target, found: Found, family: str, idle: tuple[str, ...]) -> str:
    best = found.closest
    why = f"the target {_kind(target)}" if family == "auto" else "as asked"
    parts = [f"{label(best.family, sizes(best))}: {why}; kernel distance {best.distance:.2g}"]
    if best.distance > _APART:
        parts.append("over that range it is another kernel, for all that its numbers agree" if found.solutions else "")
    if idle:
        parts.append(f"samples of equal norm make {' and '.join(idle)} idle")
    if not found.solutions:
        parts += [f"{name}: searched in vain" for name in found.open]
    for relation in dict.fromkeys(found.ruled_out.values()):
        names = [name for name, each in found.ruled_out.items() if each == relation]
        parts.append(f"{', '.join(names)}: {relation}")
    return "; ".join(part for part in parts if part)


def _kind(target: Target) -> str:
    if target.is_odd and target.is_even:
        return "has a diagonal alone"
    return "is odd" if target.is_odd else "is even" if target.is_even else "is neither odd nor even"
