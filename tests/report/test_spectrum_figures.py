"""The picture of a spectrum: everything is in it, where it belongs, and nothing covers anything."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import StepPatch

from notsodeep.report import spectrum_figure
from notsodeep.report.figures import png
from notsodeep.report.spectrum_scale import Scale
from tests.report.spectrum_records import RECORDS, SEMICIRCLE, Law, record
from tests.tolerances import BINS, EXACT, NODES_OF_A_PICTURE, ROUNDING, assert_close

every_record = pytest.mark.parametrize("result", RECORDS.values(), ids=RECORDS)


def panels(result):
    axes = spectrum_figure(result).axes
    return axes if len(axes) == 2 else (axes[0], None)


def steps(axes):
    (patch,) = (patch for patch in axes.patches if isinstance(patch, StepPatch))
    return patch.get_data()


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def curves(axes):
    return [line for line in axes.lines if line.get_linestyle() == "-"]


def labelled(axes, start):
    return [line for line in axes.lines if line.get_label().startswith(start)]


@every_record
def test_labels_are_whole_and_legends_cover_nothing(result):
    figure = spectrum_figure(result)
    renderer = drawn(figure)
    width, height = figure.bbox.size
    for axes in figure.axes:
        for box in (axes.get_tightbbox(renderer), axes.title.get_window_extent(renderer)):
            assert min(box.x0, box.y0) >= 0.0
            assert box.x1 <= width
            assert box.y1 <= height
        legend = axes.get_legend().get_window_extent(renderer)
        assert legend.y1 <= axes.xaxis.label.get_window_extent(renderer).y0
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [text.get_window_extent(renderer) for text in axis.get_ticklabels() if text.get_text()]
            assert not any(one.overlaps(other) for one, other in pairwise(ticks))
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    assert boxes[0].x0 < 0.06 * width
    assert boxes[-1].x1 > 0.94 * width
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@every_record
def test_the_histogram_holds_all_but_the_isolated_eigenvalues(result):
    values, edges = steps(panels(result)[0])[:2]
    found = [pair.found for pair in result.isolated if pair.found is not None]
    n = len(result.eigenvalues)
    bulk = np.array([x for x in result.eigenvalues if x not in found])
    counts = np.histogram(bulk, edges)[0]
    assert counts.sum() == n - len(found)
    ends = np.log(edges) if panels(result)[0].get_xscale() == "log" else edges
    assert_close(values * (ends[-1] - ends[0]) / (len(edges) - 1) * n, counts, ROUNDING)
    assert_close(np.diff(ends), np.full(len(counts), ends[-1] - ends[0]) / len(counts), BINS)


@every_record
def test_the_density_is_drawn_on_every_interval(result):
    left, _ = panels(result)
    law = result.prediction.bulk
    lines = curves(left)
    assert len(lines) == len(law.intervals)
    for line, (low, high) in zip(lines, law.intervals, strict=True):
        x, y = line.get_data()
        logarithmic = left.get_xscale() == "log"
        start = result.eigenvalues[0] / 3.0 if logarithmic else -np.inf
        assert_close([x[0], x[-1]], [max(low, start), high], NODES_OF_A_PICTURE**2, scale=high - low)
        assert_close(y, law.pdf(x) * (x if logarithmic else 1.0), EXACT)
    shown = left.get_xlim()
    assert shown[0] < max(law.support()[0], start if law.intervals else -np.inf)
    assert law.support()[1] < shown[1]


@pytest.mark.parametrize("hard", [False, True])
def test_nodes_of_the_density_are_crowded_at_its_edges(hard):
    law = Law(((1.0, 1.0, 0.5),), hard=hard)
    x, density = Scale(logarithmic=False).curve(law, 0.5, 1.5)
    assert np.isfinite(density).all()
    assert_close(float(np.trapezoid(density, x)), 1.0, NODES_OF_A_PICTURE)
    gaps = np.diff(x)
    assert gaps[0] < 0.01 * gaps.max()
    assert gaps[-1] < 0.01 * gaps.max()


def test_a_logarithmic_axis_is_for_eigenvalues_that_one_bin_of_a_linear_one_would_hold():
    logarithmic = {name for name, result in RECORDS.items() if panels(result)[0].get_xscale() == "log"}
    assert logarithmic == {"wide", "below zero"}
    x, density = Scale(logarithmic=True).curve(RECORDS["wide"].prediction.bulk, 0.001, 0.099)
    assert_close(float(np.trapezoid(density, np.log(x))), 0.95, NODES_OF_A_PICTURE)
    assert np.diff(np.log(x)).max() < 0.01


def test_what_a_logarithmic_axis_leaves_out_is_said():
    texts = [text.get_text() for text in panels(RECORDS["below zero"])[0].get_legend().get_texts()]
    law = RECORDS["below zero"].prediction.bulk
    assert f"predicted density ({100 * float(law.cdf(0.001 / 3)):.2g} % below 0.00033 left out)" in texts
    assert panels(RECORDS["wide"])[0].get_legend().get_texts()[1].get_text() == "predicted density"


@every_record
def test_all_that_is_continuous_is_seen(result):
    left, _ = panels(result)
    low, high = left.get_ylim()
    for line in curves(left):
        peak = np.quantile(line.get_ydata(), 0.9)
        assert peak <= high
        share = np.log(peak / low) / np.log(high / low) if left.get_yscale() == "log" else peak / high
        assert share > 0.02
    assert steps(left).values.max() <= high


def test_heights_are_logarithmic_only_where_they_must_be():
    logarithmic = {name for name, result in RECORDS.items() if panels(result)[0].get_yscale() == "log"}
    assert logarithmic == {"atoms", "one atom", "uneven"}


@pytest.mark.parametrize("name", ["atoms", "one atom", "only atoms"])
def test_atoms_are_spikes_as_high_as_a_bin_that_holds_them(name):
    result = RECORDS[name]
    left, right = panels(result)
    ((positions, heights),) = (line.get_data() for line in left.lines if line.get_marker() == "^")
    width = np.diff(steps(left).edges)[0]
    assert_close(np.column_stack([positions, heights * width]), result.prediction.bulk.atoms, ROUNDING)
    (legend,) = (text.get_text() for text in left.get_legend().get_texts() if "atom" in text.get_text())
    assert legend == ("predicted atom: 90 % at 0.4" if name == "one atom" else legend)
    assert right is None or len(right.patches) == len(result.prediction.bulk.intervals) + len(positions)


def test_isolated_eigenvalues_have_a_panel_where_there_are_any():
    for name, result in RECORDS.items():
        left, right = panels(result)
        assert (right is None) == (not result.isolated), name
        assert ("no isolated eigenvalue" in left.get_title()) == (right is None)
        if right is not None:
            for start, field in (("predicted", "predicted"), ("exact", "found")):
                (line,) = labelled(right, start)
                want = np.array([getattr(pair, field) for pair in result.isolated], dtype=float)
                assert np.array_equal(line.get_ydata(), want, equal_nan=True)
                assert line.get_xdata().tolist() == list(range(1, len(want) + 1))
                low, high = right.get_ylim()
                assert low < np.nanmin(np.append(want, high))
                assert np.nanmax(np.append(want, low)) < high


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_isolated_eigenvalues_far_apart_are_on_a_logarithmic_axis(scale):
    names = {"log": ("far", "half", "many", "narrow"), "linear": ("near", "atoms", "negative")}[scale]
    assert {panels(RECORDS[name])[1].get_yscale() for name in names} == {scale}


@pytest.mark.parametrize(
    ("name", "predicted", "found"),
    [
        ("near", [1.71, 0.42], [1.7, 0.43]),
        ("far", [1.6], [1.62]),
        ("half", [], [0.2]),
        ("two intervals", [1.15, 3.0], [1.16, 3.05]),
    ],
)
def test_those_close_to_the_bulk_are_beside_it_too(name, predicted, found):
    left, _ = panels(RECORDS[name])
    circles = [line for line in left.lines if line.get_marker() == "o"]
    for values, is_open in ((predicted, True), (found, False)):
        lines = [line for line in circles if (line.get_markerfacecolor() == "none") == is_open]
        assert [line.get_xdata().tolist() for line in lines] == ([values] if values else [])


def test_hostile_names_are_cut_and_taken_as_they_are():
    result = record(SEMICIRCLE, name="$^$ <script> " + 80 * "long")
    figure = spectrum_figure(result)
    drawn(figure)
    assert figure.axes[0].get_title().endswith("...; no isolated eigenvalue")


def test_pictures_repeat_and_leave_nothing_global():
    assert png(spectrum_figure(RECORDS["far"])) == png(spectrum_figure(RECORDS["far"]))
    assert not Gcf.get_all_fig_managers()
