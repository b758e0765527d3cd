"""Panels of the main job's picture; each draws one thing into the axes it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple

from notsodeep.activations import Activation
from notsodeep.checks import FloatArray
from notsodeep.equivalents.coefficients import layer_moments
from notsodeep.experiments.twin import TwinResult
from notsodeep.report.drawing import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION, set_legend, set_title, shortened
from notsodeep.report.facts import Facts
from notsodeep.report.numerals import percent
from notsodeep.report.wording import deq_words, short_name
from notsodeep.spec import MLP, layers_of

_LAYERS = ((VERMILION, "-"), (PURPLE, "--"), (GREEN, "-."), (ORANGE, (0, (1, 1))), (BLACK, ":"))
_DEVIATIONS = 3.0
_MOST_POINTS = 5000
_NEGLIGIBLE = 1e-8  # eigenvalues below this share of the largest are not drawn
_FAINT: dict[str, Any] = {"alpha": 0.5, "mec": "none"}
_FLOOR = 0.6  # where the axis of counts starts


class _Style(NamedTuple):
    label: str
    line: dict[str, Any]
    mark: dict[str, Any]


_STYLES = {
    "deq": _Style(
        "DEQ",
        {"color": BLUE, "fill": True, "alpha": 0.35},
        {"color": BLUE, "marker": "o", "ms": 7.5, "mfc": "none", "mew": 1.0},
    ),
    "equivalent": _Style(
        "random-matrix equivalent",
        {"color": GREEN, "lw": 1.3, "ls": (0, (4, 2))},
        {"color": GREEN, "marker": "x", "ms": 5, "mew": 1.0},
    ),
    "network": _Style("network", {"color": VERMILION, "lw": 1.3}, {"color": VERMILION, "marker": ".", "ms": 3.5}),
}


def draw_eigenvalues(axes: Axes, result: TwinResult, kernel: str) -> None:
    """Histograms of the bulk in common logarithmic bins; eigenvalues apart from it as marks at the height of one."""
    eigenvalues = result.evidence[kernel].eigenvalues
    largest = max(float(values[-1]) for values in eigenvalues.values())
    shown = {name: values[values > _NEGLIGIBLE * largest] for name, values in eigenvalues.items()}
    edges = _bins(np.concatenate(list(shown.values())), result.samples.train.n)
    limit = bulk_limit(shown["deq"], float(np.log(edges[1] / edges[0])))
    handles, labels = [], []
    for which, style in _STYLES.items():
        values = shown[which]
        bulk, apart = values[values <= limit], values[values > limit]
        steps = axes.stairs(np.maximum(np.histogram(bulk, edges)[0], _FLOOR), edges, baseline=_FLOOR, **style.line)
        (marks,) = axes.plot(apart, np.ones(len(apart)), ls="none", **style.mark)
        hidden = len(eigenvalues[which]) - len(values)
        labels.append(style.label + (f" ({hidden} near or below 0 left out)" if hidden else ""))
        handles.append((steps, marks) if len(apart) else (steps,))
    axes.set(xscale="log", yscale="log", ylim=(_FLOOR, None))
    axes.set(xlabel="eigenvalue (marks: apart from the bulk)", ylabel="eigenvalues in a bin")
    train = result.samples.train
    set_title(axes, f"{_prefix(result, kernel)}Spectra on {train.n} samples of {shortened(train.name)}")
    set_legend(axes, handles=handles, labels=labels, handler_map={tuple: HandlerTuple(ndivide=None)}, handlelength=4.0)


def _prefix(result: TwinResult, kernel: str) -> str:
    return f"{kernel.upper()}. " if len(result.evidence) > 1 else ""


def _bins(values: FloatArray, n: int) -> FloatArray:
    low, high = np.log(values.min()), np.log(values.max())
    margin = 0.02 * (high - low) + 1e-3
    return np.exp(np.linspace(low - margin, high + margin, 1 + int(np.clip(2.0 * n**0.5, 12, 50))))


def bulk_limit(values: FloatArray, gap: float) -> float:
    """Return where the bulk of ascending positive eigenvalues ends: in the first gap of the upper half.

    A gap is a factor of more than ``exp(gap)``. Without one, all of them are bulk.

    Examples
    --------
    >>> import numpy as np
    >>> bulk_limit(np.array([1.0, 1.1, 1.2, 1.3, 5.2, 5.3]), gap=0.5)
    2.6
    """
    half = len(values) // 2
    gaps = half + np.flatnonzero(np.diff(np.log(values[half:])) > gap)
    return float(np.sqrt(values[gaps[0]] * values[gaps[0] + 1])) if gaps.size else float("inf")


def draw_activations(axes: Axes, result: TwinResult) -> None:
    """Activations of both models where their pre-activations are, three standard deviations to either side."""
    _draw_functions(axes, result, lambda phi: phi)
    axes.set(ylabel="activation, centred")
    set_title(axes, "Activations")


def draw_slopes(axes: Axes, result: TwinResult) -> None:
    """Their derivatives, which the neural tangent kernel is made of as well."""
    _draw_functions(axes, result, lambda phi: phi.derivative)
    axes.set(ylabel="derivative of the activation")
    set_title(axes, "Slopes")


def _draw_functions(axes: Axes, result: TwinResult, of: Callable[[Activation], Callable[[Any], Any]]) -> None:
    rest, spec = Facts.of(result).rest, result.match.spec
    curve(axes, of(rest.activation), rest.tau_star, f"DEQ: {deq_words(result)}", color=BLUE, lw=4.0, alpha=0.45)
    branches = (spec,) if isinstance(spec, MLP) else spec.branches
    scales = [scale for branch in branches for _, _, scale in layer_moments(branch, result.match.deq.tau0)]
    for i, ((place, layer), scale) in enumerate(zip(layers_of(spec), scales, strict=True)):
        color, dashes = _LAYERS[i % len(_LAYERS)]
        label = f"{place}: {short_name(layer.activation)}"
        curve(axes, of(layer.activation), scale, label, color=color, ls=dashes)
    axes.axhline(0.0, color="0.8", lw=0.8, zorder=0)
    axes.axvline(0.0, color="0.8", lw=0.8, zorder=0)
    axes.set(xlabel="pre-activation, within 3 standard deviations")
    set_legend(axes)


def curve(axes: Axes, phi: Callable[[Any], Any], scale: float, label: str, **line: Any) -> None:
    """Draw one function over three standard deviations ``scale`` of its pre-activations."""
    u = _DEVIATIONS * scale * np.linspace(-1.0, 1.0, 601)
    axes.plot(u, phi(u), label=label, **line)


def draw_entries(axes: Axes, result: TwinResult, kernel: str) -> None:
    """Entries of the network's kernel against the DEQ's: the diagonal, and a sample of the others."""
    evidence = result.evidence[kernel]
    apart = percent(evidence.distance.spectral)
    deq, network = evidence.kernels
    rows, columns = pairs(len(deq))
    axes.plot(deq[rows, columns], network[rows, columns], ".", color=BLUE, ms=4, label="off the diagonal", **_FAINT)
    axes.plot(deq.diagonal(), network.diagonal(), "D", color=ORANGE, ms=3.5, label="diagonal", **_FAINT)
    corners = axes.dataLim.get_points()
    low, high = float(corners.min()), float(corners.max())
    margin = 0.04 * (high - low)
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color=BLACK, lw=0.8, zorder=0, label="equal")
    axes.locator_params(nbins=6)
    axes.set(xlim=ends, ylim=ends, xlabel="kernel of the DEQ", ylabel="kernel of the network")
    set_title(axes, f"{_prefix(result, kernel)}Entries: relative spectral distance {apart}")
    set_legend(axes, markerscale=1.6)


def pairs(n: int) -> tuple[Any, Any]:
    """Return row and column indices above the diagonal: all of them, or a sample of fixed seed."""
    rows, columns = np.triu_indices(n, 1)
    if len(rows) > _MOST_POINTS:
        kept = np.random.default_rng(0).choice(len(rows), _MOST_POINTS, replace=False)
        rows, columns = rows[kept], columns[kept]
    return rows, columns
