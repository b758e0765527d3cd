from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import StepPatch

from notsodeep.activations import moments
from notsodeep.equivalents.coefficients import layer_moments
from notsodeep.report import save_figure, twin_figure
from notsodeep.report.figures import png
from notsodeep.report.panels import bulk_limit, pairs
from tests.tolerances import CENTRAL, EXACT, ROUNDING, assert_close


def pixels(content):
    return matplotlib.image.imread(io.BytesIO(content), format="png")


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def legend_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def test_every_panel_has_a_picture(some_twin):
    figure = twin_figure(some_twin)
    image = pixels(png(figure))[..., :3]
    height, width = image.shape[:2]
    assert (width, height) == (1800, 660 * len(some_twin.evidence))
    assert len(figure.axes) == 3 * len(some_twin.evidence)
    for axes in figure.axes:
        box = axes.get_position()
        rows = slice(int(height * (1.0 - box.y1)), int(height * (1.0 - box.y0)))
        panel = image[rows, int(width * box.x0) : int(width * box.x1)]
        inside = panel[20:-20, 20:-20]
        assert inside.size > 3 * 300 * 300
        assert inside.std() > 0.02


@pytest.mark.parametrize("name", ["sphere", "both", "hostile"])
def test_labels_are_whole_and_legends_cover_nothing(name, request):
    figure = twin_figure(request.getfixturevalue(name))
    renderer = drawn(figure)
    width, height = figure.bbox.size
    for axes in figure.axes:
        for box in (axes.get_tightbbox(renderer), axes.title.get_window_extent(renderer)):
            assert min(box.x0, box.y0) >= 0.0
            assert box.x1 <= width
            assert box.y1 <= height
        legend = axes.get_legend().get_window_extent(renderer)
        labels = axes.xaxis.label.get_window_extent(renderer)
        assert legend.y1 <= labels.y0
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    assert boxes[0].x0 < 0.02 * width  # no empty space
    assert boxes[-1].x1 > 0.98 * width
    assert min(box.y0 for box in boxes) < 0.04 * height
    titles = [axes.title.get_window_extent(renderer) for axes in figure.axes]
    for row in (titles[:3], titles[3:]):
        assert all(left.x1 < right.x0 for left, right in pairwise(row))
    assert all(upper.y0 > lower.y1 for upper, lower in zip(boxes, boxes[3:], strict=False))


def test_every_eigenvalue_is_drawn_once(some_twin):
    panels = twin_figure(some_twin).axes[::3]
    assert len(panels) == len(some_twin.evidence)
    for axes, evidence in zip(panels, some_twin.evidence.values(), strict=True):
        check_eigenvalues(axes, evidence.eigenvalues)


def check_eigenvalues(axes, eigenvalues):
    steps = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    marks = axes.lines
    assert len(steps) == len(marks) == 3
    edges = steps[0].get_data().edges
    for step, mark, name in zip(steps, marks, ("deq", "equivalent", "network"), strict=True):
        data = step.get_data()
        assert (data.edges == edges).all()
        counted = data.values[data.values >= 1.0].sum() + len(mark.get_xdata())
        values = eigenvalues[name]
        assert counted == (values > 1e-8 * max(v[-1] for v in eigenvalues.values())).sum()
        apart = mark.get_xdata()
        assert np.array_equal(apart, values[len(values) - len(apart) :])


def test_isolated_eigenvalues_of_the_mixture_are_marked(mixture):
    axes = twin_figure(mixture).axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 2, 2]


def test_eigenvalues_that_a_logarithmic_axis_cannot_show_are_counted(relu):
    evidence = relu.evidence["ck"]
    values = evidence.eigenvalues["equivalent"].copy()
    values[:3] = (-0.1, 0.0, 1e-15)
    changed = replace(evidence, eigenvalues=evidence.eigenvalues | {"equivalent": values})
    axes = twin_figure(replace(relu, evidence={"ck": changed})).axes[0]
    assert legend_of(axes)[1] == "random-matrix equivalent (3 near or below 0 left out)"


def test_bulk_limit():
    bulk = np.linspace(1.0, 2.0, 50)
    assert bulk_limit(bulk, 0.1) == np.inf
    assert 2.0 < bulk_limit(np.append(bulk, [8.0, 8.1]), 0.1) < 8.0
    assert bulk_limit(np.array([0.1, *bulk]), 0.1) == np.inf  # a gap below the bulk
    assert bulk_limit(np.array([3.0]), 0.1) == np.inf


def test_activations_are_drawn_where_they_work(relu):
    axes = twin_figure(relu).axes[1]
    curves = lines(axes)
    assert list(curves) == ["DEQ: relu", "layer 1: two-slope", "layer 2: two-slope"]
    deq = relu.config.deq
    c = relu.match.target
    u, y = curves["DEQ: relu"].get_data()
    assert_close(u.max(), 3.0 * c.tau_star, ROUNDING)
    assert_close(u.min(), -3.0 * c.tau_star, ROUNDING)
    mean = c.tau_star / np.sqrt(2.0 * np.pi)
    assert_close(y, np.maximum(u, 0.0) - mean, ROUNDING)
    assert deq.tau0 == 1.0
    for (label, curve), layer in zip(list(curves.items())[1:], relu.match.spec.layers, strict=True):
        assert_close(curve.get_ydata(), layer.activation(curve.get_xdata()), EXACT, what=label)


def test_scales_of_layers(relu):
    first, second = (scale for _, _, scale in layer_moments(relu.match.spec, 1.3))
    assert first == 1.3
    square = moments(relu.match.spec.layers[0].activation, 1.3).square
    assert_close(second, np.sqrt(float(square)), EXACT)


def test_both_kernels_have_a_row_and_activations_their_slopes(both):
    figure = twin_figure(both)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(" ")[0] for title in titles] == ["CK.", "Activations", "CK.", "NTK.", "Slopes", "NTK."]
    values, slopes = (lines(figure.axes[place]) for place in (1, 4))
    places = ["layer 1 of branch 1", "layer 1 of branch 2", "layer 2 of branch 2"]
    assert list(values) == list(slopes) == ["DEQ: relu", *(f"{place}: two-slope" for place in places)]
    for label, curve in values.items():
        u, y = curve.get_data()
        rise = np.diff(y) / np.diff(u)
        middle = 0.5 * (slopes[label].get_ydata()[1:] + slopes[label].get_ydata()[:-1])
        away = np.abs(u[:-1]) > 0.1
        assert_close(rise[away], middle[away], CENTRAL, what=label)
    scales = [axis.get_data()[0].max() / 3.0 for axis in values.values()]
    second = np.sqrt(moments(both.match.spec.branches[1].layers[0].activation, 1.0).square)
    assert_close(scales[1:], [1.0, 1.0, float(second)], ROUNDING)


@pytest.mark.parametrize(("name", "kernel", "place"), [("softplus", "ck", 2), ("both", "ck", 2), ("both", "ntk", 5)])
def test_entries_are_those_of_the_kernels(name, kernel, place, request):
    result = request.getfixturevalue(name)
    axes = twin_figure(result).axes[place]
    points = lines(axes)
    assert list(points) == ["off the diagonal", "diagonal", "equal"]
    deq, network = result.evidence[kernel].kernels
    x, y = points["diagonal"].get_data()
    assert np.array_equal(x, deq.diagonal())
    assert np.array_equal(y, network.diagonal())
    x, y = points["off the diagonal"].get_data()
    known = dict(zip(deq.ravel().tolist(), network.ravel().tolist(), strict=True))
    assert [known[value] for value in x.tolist()] == y.tolist()
    assert not set(x.tolist()) & set(deq.diagonal().tolist())
    assert axes.get_xlim() == axes.get_ylim()
    distance = np.linalg.norm(deq - network, 2) / np.linalg.norm(deq, 2)
    assert axes.get_title().endswith(f" {100 * distance:.2g} %")


@pytest.mark.parametrize(("n", "count"), [(2, 1), (100, 4950), (200, 5000)])
def test_pairs_are_distinct_and_off_the_diagonal(n, count):
    rows, columns = pairs(n)
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == count
    assert (rows < columns).all()
    assert columns.max() < n


def test_pictures_repeat_and_leave_nothing_global(relu):
    assert png(twin_figure(relu)) == png(twin_figure(relu))
    assert not Gcf.get_all_fig_managers()


STARTS = {"png": b"\x89PNG", "PNG": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("ending", STARTS)
def test_figures_are_saved_in_the_format_of_the_ending(ending, relu, tmp_path):
    path = save_figure(twin_figure(relu), tmp_path / f"a.{ending}")
    assert path.read_bytes().startswith(STARTS[ending])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a", "a.doc", "a.png.txt"])
def test_unknown_formats_are_refused(name, relu, tmp_path):
    with pytest.raises(ValueError, match=r"path must end in one of .*\.png"):
        save_figure(twin_figure(relu), tmp_path / name)
    assert not list(tmp_path.iterdir())
