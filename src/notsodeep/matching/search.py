"""Solutions of a target within a family, each followed to where its kernel is closest to the DEQ's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from notsodeep.activations import hermite
from notsodeep.checks import FloatArray
from notsodeep.kernels.scalar import rest_point
from notsodeep.matching import hard_tanh, leaky_relu
from notsodeep.matching.design import Design
from notsodeep.matching.families import Family
from notsodeep.matching.probe import Probe
from notsodeep.matching.shape import STEEPEST, Shape, scaled
from notsodeep.matching.solver import Point, least_squares, refine, value
from notsodeep.matching.target import NOTHING, Target, network_weights
from notsodeep.spec import DEQ, MLP, Parallel

TOLERANCE = 1e-12
"""Relative residual of the equations below which a network counts as matched"""
_SOLVED = 1e-12  # norm of the misses in the search
_ORDERS = 6  # Hermite coefficients that the last layer starts from
_FAST = 1.5  # rate that the last layer of the last branch starts with beyond that of others
_LEAST_RATE = 0.02  # that a search starts from
_FIRST = 6  # starts that are tried even when some have solved the equations
_ENOUGH = 3  # solutions that are refined
_CLOSE = 3e-4  # root mean square distance that need not be improved
_SAME = 1.02  # ratio of two optima that count as one
_SPREAD = 0.4  # of random starts, relative
_RANDOM = 16  # more starts, where none of the first solves the equations
_OWN = 0.3  # weight of samples with themselves: they do not add up over pairs


@dataclass(frozen=True)
class Solution:
    """A network that was found."""

    family: str
    spec: MLP | Parallel
    residual: float
    """Largest relative miss of the target's numbers, computed anew from the spec"""
    distance: float
    """Largest relative difference of its exact kernels from the DEQ's over the norms and cosines of the data"""

    @property
    def matched(self) -> bool:
        """Whether the equations are solved."""
        return self.residual <= TOLERANCE


def search(
    deq: DEQ, target: Target, probe: Probe, family: Family, branches: tuple[int, ...], thorough: bool = True
) -> list[Solution]:
    """Return the solutions found, closest first; if there is none, the network that misses the numbers least.

    Where none can exist, the search need not be ``thorough``.
    """
    specs = _closed_forms(target, family, branches)
    found = [_solution(target, probe, family, spec) for spec in specs]
    if not (specs and target.kernel == "ck"):  # else nothing is left free
        found += _searched(deq, target, probe, family, branches, thorough)
    matched = sorted((each for each in found if each.matched), key=lambda each: each.distance)
    return matched or [min(found, key=lambda each: each.residual)]


def _closed_forms(target: Target, family: Family, branches: tuple[int, ...]) -> list[MLP]:
    if (family.name, branches) == ("hard_tanh", (1,)):
        return hard_tanh.solutions(target)
    return leaky_relu.solutions(target) if (family.name, branches) == ("leaky_relu", (2,)) else []


def _solution(target: Target, probe: Probe, family: Family, spec: MLP | Parallel) -> Solution:
    distance = probe.distance(spec, network_weights(spec, target.readout > 0))
    return Solution(family.name, spec, target.residual(spec), distance)


def _searched(
    deq: DEQ, target: Target, probe: Probe, family: Family, branches: tuple[int, ...], thorough: bool
) -> list[Solution]:
    design = Design(family.shape, branches, with_rates="ntk" in target.kernels, readout=target.readout)

    def equations(z: Any) -> Any:
        return target.misses(*design.numbers(z))

    def objective(z: Any) -> Any:
        return _differences(probe, *design.kernels(z, probe.pairs))

    refined: list[tuple[float, FloatArray]] = []  # root mean square differences, and where
    closest = Point(next(_starts(deq, target, design, thorough)), math.inf)
    for tried, start in enumerate(_starts(deq, target, design, thorough)):
        if refined and (tried >= _FIRST or len(refined) >= _ENOUGH or refined[0][0] <= _CLOSE or _agree(refined)):
            break
        point = least_squares(equations, start)
        solved = point.norm <= _SOLVED
        ends = (refine(equations, objective, point.z), point.z) if solved else (point.z,)
        z = next((z for z in ends if design.steepness(z) <= STEEPEST), None)
        if z is None:
            continue
        if solved:
            refined.append((float(np.linalg.norm(value(objective, z).real)), z))
            refined.sort(key=lambda each: each[0])
        elif point.norm < closest.norm:
            closest = point
    best = refined[0][1] if refined else closest.z
    return [_solution(target, probe, family, design.spec(best, target.tau0))]


def _agree(refined: list[tuple[float, FloatArray]]) -> bool:
    """Tell whether the best optimum was reached twice."""
    return len(refined) > 1 and refined[1][0] <= _SAME * refined[0][0]


def _differences(probe: Probe, ck: Any, ntk: Any) -> Any:
    """Relative differences of the kernels on the pairs of a probe, as a root mean square."""
    parts = []
    for name in probe.kernels:
        wanted, sizes = probe.values[name][:, None], probe.sizes[name][:, None]
        weights = np.where(np.arange(len(wanted)) < len(probe.pairs.left), 1.0, _OWN)[:, None]
        parts.append(weights * ((ck if name == "ck" else ntk) - wanted) / sizes)
    stacked = np.concatenate(parts)
    return stacked / math.sqrt(len(stacked))


def _starts(deq: DEQ, target: Target, design: Design, thorough: bool) -> Iterator[FloatArray]:
    """Yield starts: hidden layers that are not far from linear, last ones like the DEQ's activation; then others."""
    shape, count = design.shape, len(design.branches)
    fits = [scaled(shape, fit, 1.0 / math.sqrt(count)) for fit in _fits(deq, shape)]
    rates = _rates(target, design)
    hidden = [np.array(given) for given in shape.hidden] if max(design.branches) > 1 else [np.zeros(0)]
    starts = list(product(fits, range(len(hidden))))
    for turn, (fit, first) in enumerate(starts):
        yield _joined(design, hidden, first, fit, rates[turn % len(rates)])
    if thorough:
        nearly = [_straightened(shape, layer, _bend(target)) for layer in hidden]
        for first in range(len(hidden)):
            yield _joined(design, nearly, first, fits[0], rates[first % len(rates)])
        draw = np.random.default_rng(0)  # the same starts for everyone
        for first in range(_RANDOM):
            z = _joined(design, hidden, first, fits[0], rates[first % len(rates)])
            yield z + _SPREAD * draw.standard_normal(z.size) * np.maximum(np.abs(z), 0.2)


def _joined(design: Design, hidden: list[FloatArray], first: int, fit: FloatArray, rates: list[float]) -> FloatArray:
    """Return the parameters with ``fit`` as the last layer of each branch, and hidden ones in turn from ``first``."""
    thetas = []
    for depth in design.branches:
        thetas += [hidden[(first + i) % len(hidden)] for i in range(depth - 1)] + [fit]
    return design.join(thetas, rates)


def _straightened(shape: Shape, layer: FloatArray, bend: float) -> FloatArray:
    """Return the hidden layer moved to a linear one, so that ``bend`` of its deviation is left."""
    straight = np.array([*shape.straight, *layer[shape.linear :]])[: layer.size]
    return straight + np.where(np.arange(layer.size) < shape.linear, bend, 1.0) * (layer - straight)


def _bend(target: Target) -> float:
    """How far from linear a hidden layer can be: its higher orders come out of those of the target."""
    linear, _, products, diagonal = target.numbers[:4]
    return min(3.0 * math.sqrt(max(diagonal - linear - products, 0.0) / diagonal), 1.0)


@lru_cache(maxsize=256)
def _fits(deq: DEQ, shape: Shape) -> tuple[FloatArray, ...]:
    """Layers that are close to the DEQ's activation where its pre-activations are."""
    rest = rest_point(deq)
    return tuple(shape.fits(hermite.coefficients(rest.activation, np.array([rest.tau_star]), _ORDERS + 1)[0, 1:]))


def _rates(target: Target, design: Design) -> list[list[float]]:
    """Learning rates to start from: ``beta1 / alpha1`` in every branch, of its layers alike.

    Of branches side by side the one that learns faster has to be the more bent one: there, the last branch also starts
    with a fast last layer, and each branch with only its last layer learning.
    """
    ratio = target.ntk[0] / target.ck[0] if target.ck[0] > NOTHING * target.ck[3] else target.ntk[3] / target.ck[3]
    total = max(ratio - target.readout, _LEAST_RATE)
    alike = [total / depth for depth in design.branches for _ in range(depth)]
    if len(design.branches) == 1:
        return [alike]
    last = [total if i == depth - 1 else 0.01 * total for depth in design.branches for i in range(depth)]
    return [alike, [*last[:-1], total + _FAST], last]
