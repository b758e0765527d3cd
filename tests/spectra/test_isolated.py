from __future__ import annotations

import math

import numpy as np
import pytest

from notsodeep.spectra import ClassModel, Spectrum, limiting_spectrum, traces
from tests import tolerances as tol
from tests.spectra.models import draw
from tests.tolerances import assert_close

P = 400
RATIOS = [0.25, 1.0, 4.0]  # n / p


def signal(ratio: float, square: float) -> ClassModel:
    """Return the Gram matrix of ``Z + 1 m'/sqrt(p)``, with ``n |m|^2 / p`` the squared singular value added."""
    mean, core = np.zeros((1, P)), np.zeros((3, 3))
    mean[0, 5] = math.sqrt(square / ratio)
    core[0, 0], core[0, 1], core[1, 0] = square / ratio, 1.0, 1.0
    return ClassModel([round(ratio * P)], 1.0, means=mean, core=core)


def one_entry(ratio: float, place: int, value: float, **fields) -> ClassModel:
    core = np.zeros((3, 3))
    core[place, place] = value
    return ClassModel([round(ratio * P)], 1.0, p=P, core=core, **fields)


def only(spectrum: Spectrum):
    (found,) = spectrum.isolated
    return found


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("excess", [1.001, 1.2, 5.0, 100.0])
def test_a_signal_in_the_mean_leaves_the_bulk(ratio, excess):
    """Position and alignment of Benaych-Georges and Nadakuditi for rectangular matrices."""
    square = excess * math.sqrt(ratio)
    found = only(limiting_spectrum(signal(ratio, square)))
    assert found.side == "right"
    assert_close(found.value, (1.0 + square) * (ratio + square) / square, tol.OUTLIER)
    alignment = 1.0 - ratio * (1.0 + square) / (square * (square + ratio))
    assert_close(found.alignments, [alignment], tol.ALIGNMENT, scale=1.0)
    assert_close(found.alignment, alignment, tol.ALIGNMENT, scale=1.0)
    assert found.strength > 1.0


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_weak_signal_does_not(ratio):
    at = [limiting_spectrum(signal(ratio, share * math.sqrt(ratio))) for share in (0.1, 0.5, 0.999)]
    strengths = [spectrum.right_strengths for spectrum in at]
    assert not [spectrum.isolated for spectrum in at if spectrum.isolated]
    assert all(len(one) == 1 for one in strengths)
    assert 0.0 < strengths[0][0] < strengths[1][0] < strengths[2][0] < 1.0
    at_the_transition = limiting_spectrum(signal(ratio, math.sqrt(ratio))).right_strengths
    assert_close(at_the_transition, [1.0], tol.STRENGTH)


PLACES = {"classes": (0, 1.0, {}), "norms": (2, 0.5, {}), "scaled norms": (2, 0.02, {"norm_scales": [0.2]})}


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("excess", [-3.0, -1.1, -0.7, 0.7, 1.1, 3.0])
def test_a_diagonal_entry_of_the_core(ratio, place, excess):
    """The solution is explicit for one class: ``x = 1 / (1 + w q) - 1 / q``, and a root has ``q = -1 / (b w)``."""
    where, unit, fields = PLACES[place]
    edge = 1.0 + math.copysign(1.0, excess) / math.sqrt(ratio)
    if excess < 0.0 and ratio >= 1.0:
        edge = -1.0  # an atom or a hard edge at 0: all of the left is open
    b = abs(excess) * edge if edge * excess > 0.0 else excess
    spectrum = limiting_spectrum(one_entry(ratio, where, unit * b, **fields))
    strengths = spectrum.right_strengths if b > 0.0 else spectrum.left_strengths
    assert len(spectrum.right_strengths) + len(spectrum.left_strengths) == 1
    if b < 0.0 and ratio >= 1.0:
        assert strengths.tolist() == [np.inf]
    else:
        assert_close(strengths, [abs(excess)], tol.STRENGTH)
        if abs(excess) < 1.0:
            assert not spectrum.isolated
            return
    q = -1.0 / (b * ratio)
    found = only(spectrum)
    assert found.side == ("right" if b > 0.0 else "left")
    assert_close(found.value, 1.0 / (1.0 + ratio * q) - 1.0 / q, tol.OUTLIER, scale=spectrum.bulk.support()[1])
    assert found.strength == strengths[0]
    alignment = 1.0 - ratio * (q / (1.0 + ratio * q)) ** 2 if where == 0 else 0.0
    assert_close(found.alignments, [alignment], tol.ALIGNMENT, scale=1.0)


@pytest.mark.parametrize("theta", [-3.0, 1.3, 10.0])
def test_a_spike_on_noise_alone(theta):
    """A rank-one term beside a matrix with independent entries: ``theta + 1 / theta``."""
    model = ClassModel([P], 0.0, p=P, noise=[[1.0]], core=np.diag([theta, 0.0, 0.0]))
    found = only(limiting_spectrum(model))
    assert_close(found.value, theta + 1.0 / theta, tol.OUTLIER)
    assert_close(found.alignments, [1.0 - theta**-2], tol.ALIGNMENT)
    assert_close(found.strength, abs(theta), tol.STRENGTH)


def mixed(seed: int, k: int = 2, size: float = 2.0) -> np.ndarray:
    entries = np.random.default_rng(seed).standard_normal((2 * k + 1, 2 * k + 1))
    return size * (entries + entries.T)


def means(p: int) -> np.ndarray:
    out = np.zeros((2, p))
    out[0, 0], out[1, 0], out[1, p // 2] = 2.0, 0.5, 1.5
    return out


DIAGONALS = np.stack([np.repeat([3.0, 1.0], 100), np.linspace(0.5, 2.0, 200)])
DRAWN = {
    "more columns": ClassModel([90, 60], DIAGONALS, shifts=[0.2, 0.2], means=means(200), core=mixed(1)),
    "more rows": ClassModel([250, 100], DIAGONALS, shifts=[0.2, 0.2], means=means(200), core=mixed(2)),
    "an inner gap": ClassModel([100, 100], 1.0, shifts=[0.0, 20.0], means=means(200), core=mixed(3, size=4.0)),
    "noise": ClassModel(
        [100, 100], [1.0, 1.2], shifts=[0.0, 1.0], means=means(200), core=mixed(4), noise=[[0.2, 0.1], [0.1, 0.3]]
    ),
    "without noise of its own": ClassModel([100, 60], 0.0, p=200, shifts=[0.0, 1.0], core=mixed(4)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_isolated_eigenvalues_of_draws(name):
    model, repeats = DRAWN[name], 24
    spectrum = limiting_spectrum(model)
    values = np.array([one.value for one in spectrum.isolated])
    alignments = np.array([one.alignments for one in spectrum.isolated])
    assert (np.diff(values) > 0.0).all()
    assert len(values) >= 2
    indicators = np.repeat(np.eye(2), model.counts, axis=0) / np.sqrt(model.counts)
    drawn = np.empty((repeats, len(values), 3))
    for seed in range(repeats):
        w, v = np.linalg.eigh(draw(model, seed))
        nearest = np.abs(w[:, None] - values).argmin(axis=0)
        drawn[seed, :, 0], drawn[seed, :, 1:] = w[nearest], (v[:, nearest].T @ indicators) ** 2
    error = drawn.std(axis=0, ddof=1) / math.sqrt(repeats) + tol.FINITE_SIZE / model.n * np.maximum(
        np.abs(drawn).mean(axis=0), 1.0
    )
    expected = np.column_stack([values, alignments])
    assert_close(drawn.mean(axis=0), expected, tol.STANDARD_ERRORS, scale=error)


@pytest.mark.parametrize("name", DRAWN)
def test_one_eigenvalue_for_each_strength_above_one(name):
    spectrum = limiting_spectrum(DRAWN[name])
    low, high = spectrum.bulk.support()
    for side, strengths in (("right", spectrum.right_strengths), ("left", spectrum.left_strengths)):
        found = [one for one in spectrum.isolated if one.side == side]
        assert len(found) == (strengths > 1.0).sum()
        assert (strengths[1:] <= strengths[:-1]).all()
        outermost_first = found[::-1] if side == "right" else found
        assert [one.strength for one in outermost_first] == strengths[: len(found)].tolist()
    for one in spectrum.isolated:
        assert one.gap[0] < one.value < one.gap[1]
        assert (one.side == "inner") == (low < one.value < high)
        assert (one.strength is None) == (one.side == "inner")


@pytest.mark.parametrize("name", DRAWN)
def test_draws_have_no_other_isolated_eigenvalues(name):
    """Some may hide near an edge, by the fluctuations there."""
    model = DRAWN[name]
    spectrum = limiting_spectrum(model)
    w = np.linalg.eigvalsh(draw(model, 3))
    blocks = [*spectrum.bulk.intervals, *((x, x) for x, _ in spectrum.bulk.atoms)]
    room = 0.05 * (spectrum.bulk.support()[1] - spectrum.bulk.support()[0])
    outside = np.all([(w < low - room) | (w > high + room) for low, high in blocks], axis=0)
    values = np.array([one.value for one in spectrum.isolated])
    far = np.all([(values < low - 2 * room) | (values > high + 2 * room) for low, high in blocks], axis=0)
    assert far.sum() <= outside.sum() <= len(values)


def test_an_eigenvalue_that_is_twice_there():
    """Two equal classes with the same spike each."""
    core = np.diag([6.0, 6.0, 0.0, 0.0, 0.0])
    found = limiting_spectrum(ClassModel([100, 100], 1.0, p=P, core=core)).isolated
    assert len(found) == 2
    ratio, b = 0.25, 6.0  # a class, of n / p = 0.5 in all
    q = -1.0 / (b * ratio)
    value = 1.0 / (1.0 + 2.0 * ratio * q) - 1.0 / q
    slope = 1.0 / (q**-2 - 2.0 * ratio / (1.0 + 2.0 * ratio * q) ** 2)
    assert_close([one.value for one in found], [value, value], tol.OUTLIER)
    each = 0.5 * q**2 / slope
    assert_close([one.alignments for one in found], np.full((2, 2), each), tol.ALIGNMENT, scale=1.0)


def test_groups_take_parts_of_a_class_together():
    whole = signal(0.5, 3.0)
    core = np.zeros((5, 5))
    core[:2, :2], core[:2, 2], core[2, :2] = whole.core[0, 0], 1.0, 1.0
    split = ClassModel([50, 150], 1.0, means=whole.means.repeat(2, axis=0), core=core, groups=[0, 0])
    one, other = only(limiting_spectrum(whole)), only(limiting_spectrum(split))
    assert_close(other.value, one.value, tol.OUTLIER)
    assert_close(other.alignments, one.alignments, tol.ALIGNMENT)


def test_empty_classes_and_no_low_rank_part():
    core = np.zeros((5, 5))
    core[0, 0], core[1, 1] = 50.0, 6.0
    found = only(limiting_spectrum(ClassModel([0, 200], 1.0, p=P, core=core)))
    assert found.alignments[0] == 0.0
    alone = only(limiting_spectrum(ClassModel([200], 1.0, p=P, core=np.diag([6.0, 0.0, 0.0]))))
    assert_close(found.value, alone.value, tol.OUTLIER)
    assert_close(found.alignments[1], alone.alignment, tol.ALIGNMENT)
    nothing = limiting_spectrum(ClassModel([200], 1.0, p=P))
    assert nothing.isolated == ()
    assert nothing.right_strengths.size == nothing.left_strengths.size == 0
    assert repr(nothing).endswith("isolated: none)")


def test_dense_algebra_agrees_with_the_joint_eigenbasis(monkeypatch):
    matrices = np.stack([np.diag(np.linspace(1.0, 2.0, 16)), np.diag(np.linspace(2.0, 0.5, 16))])
    model = ClassModel([20, 10], matrices, means=means(16), core=mixed(5))
    fast = limiting_spectrum(model)
    monkeypatch.setattr(traces, "joint_basis", lambda matrices: None)
    slow = limiting_spectrum(model)
    assert len(fast.isolated) == len(slow.isolated) > 1
    for one, other in zip(fast.isolated, slow.isolated, strict=True):
        assert_close(other.value, one.value, tol.OUTLIER)
        assert_close(other.alignments, one.alignments, tol.ALIGNMENT, scale=1.0)
