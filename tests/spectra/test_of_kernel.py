"""Spectra of kernels on mixtures, as predicted, against the exact kernels of samples."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.linalg import toeplitz

import notsodeep as nsd
from notsodeep.spectra import in_eigenbasis
from tests.tolerances import KERNEL, STANDARD_ERRORS, assert_close

P = 600


def mixture(kind, p=P, size=4.0, trace=4.0):
    means = np.zeros((2, p))
    means[0, 0] = means[1, 1] = size
    factors = np.array([1.0, 1.0 + trace / np.sqrt(p)])
    if kind == "isotropic":
        return nsd.GaussianMixture(means, factors)
    if kind == "two-scale":
        return nsd.GaussianMixture(means, factors[:, None] * np.where(np.arange(p) % 2, 0.4, 1.6), [0.55, 0.45])
    return nsd.GaussianMixture(means, factors[:, None, None] * toeplitz(0.4 ** np.arange(p)))


@cache
def draw(kind, ratio):
    gm = mixture(kind)
    X, y = gm.sample(round(P / ratio), seed=0)
    return in_eigenbasis(gm), X, y, float(np.sqrt((X**2).sum(axis=1).mean()))


def distance(bulk, values):
    below, steps = bulk.cdf(values), np.arange(len(values) + 1) / len(values)
    return max(np.abs(below - steps[:-1]).max(), np.abs(below - steps[1:]).max())


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("ratio", [0.5, 1.25, 4.0])
@pytest.mark.parametrize("kind", ["isotropic", "two-scale", "toeplitz"])
def test_spectra_of_exact_kernels_are_predicted(kind, ratio, activation, kernel):
    """The bulk to 2.5 per cent (one eigenvalue of 150 is 0.7), isolated ones to 3 standard deviations of a draw."""
    gm, X, y, tau0 = draw(kind, ratio)
    deq = nsd.DEQ(activation, 0.2, 0.8, tau0)
    counts = np.bincount(y)
    found = nsd.spectrum(deq, gm, counts, kernel)
    values, vectors = np.linalg.eigh(getattr(nsd, kernel)(deq, X))
    low, high = found.bulk.support()
    margin = 2.0 * (high - low) * len(X) ** (-2 / 3)
    outside = (values < low - margin) | (values > high + margin)
    assert distance(found.bulk, values[~outside]) < 0.025
    predicted = [one for one in found.isolated if one.side != "inner" and one.value > high + margin]
    assert len(predicted) == outside.sum() == 2
    assert_close([one.value for one in predicted], values[outside], 0.1, scale=values[outside])
    both = np.stack([(vectors[:, outside].T @ (y == a)) ** 2 / counts[a] for a in (0, 1)])
    assert_close(np.sum([one.alignments for one in predicted], axis=0), both.sum(axis=1), 0.1, scale=1.0)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_isolated_eigenvalues_are_those_of_many_draws(activation):
    """Sums over both eigenvalues, which order by size would bias."""
    gm = mixture("isotropic", 400)
    sums, shares = [], []
    for seed in range(16):
        X, y = gm.sample(320, seed=seed)
        deq = nsd.DEQ(activation, 0.2, 0.8, tau0=1.07)
        values, vectors = np.linalg.eigh(nsd.ck(deq, X))
        sums.append(values[-2:].sum())
        shares.append(sum(((y == a) @ vectors[:, -2:]) ** 2 / (y == a).sum() for a in (0, 1)).sum())
    found = [one for one in nsd.spectrum(deq, gm, 320).isolated if one.side == "right"]
    for want, drawn in ((sum(one.value for one in found), sums), (sum(one.alignment for one in found), shares)):
        error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
        assert abs(np.mean(drawn) - want) < STANDARD_ERRORS * error
        assert error < 0.01 * want


def test_the_papers_form_is_a_scaled_gram_matrix():
    gm, _, y, tau0 = draw("isotropic", 1.25)
    deq = nsd.DEQ("relu", 0.2, 0.8, tau0)
    c = nsd.coefficients(deq)
    shift = c.gamma2 - tau0**2 * c.alpha1
    bulk = nsd.spectrum(deq, gm, np.bincount(y), order="paper").bulk
    gram = nsd.spectra.limiting_spectrum(nsd.spectra.ClassModel(np.bincount(y), gm.covariances, p=P)).bulk
    x = np.linspace(0.05, 3.0, 40)
    assert_close(bulk.cdf(c.alpha1 * x + shift), gram.cdf(x), 1e-8, scale=1.0)


def test_the_papers_form_has_the_spectrum_of_its_equivalent():
    gm, X, y, tau0 = draw("isotropic", 1.25)
    deq = nsd.DEQ("relu", 0.2, 0.8, tau0)
    bar = nsd.equivalent(deq, X, nsd.Statistics.from_mixture(gm, X, y)).dense()
    found = nsd.spectrum(deq, gm, np.bincount(y), order="paper")
    values = np.linalg.eigvalsh(bar)
    assert distance(found.bulk, values[:-2]) < 0.01
    assert_close([one.value for one in found.isolated[-2:]], values[-2:], 0.1)


def test_atoms_are_there_in_the_papers_form_alone():
    """More samples than dimensions: the paper's scale for all makes eigenvalues equal that the norms spread."""
    gm, X, y, tau0 = draw("isotropic", 0.5)
    deq = nsd.DEQ("tanh", 0.2, 0.8, tau0)
    plain, aware = (nsd.spectrum(deq, gm, np.bincount(y), order=order).bulk for order in ("paper", "norm-aware"))
    assert [mass for _, mass in plain.atoms] == [pytest.approx(0.5)]
    assert not aware.atoms
    assert len(aware.intervals) == 2
    values = np.linalg.eigvalsh(nsd.ck(deq, X))[: len(X) - P]
    (low, high), _ = aware.intervals
    assert values.std() > 0.03 * values.mean()
    assert low - 0.2 * (high - low) < values.min() < values.max() < high + 0.2 * (high - low)


@pytest.mark.parametrize(
    ("gm", "n"),
    [
        pytest.param(nsd.GaussianMixture(np.zeros((1, 300)), [1.0]), 240, id="one class"),
        pytest.param(nsd.GaussianMixture(np.zeros((3, 300)), [1.0] * 3), 240, id="identical classes"),
        pytest.param(nsd.GaussianMixture(np.zeros((2, 300)), [0.8, 1.2]), 240, id="zero means"),
        pytest.param(nsd.GaussianMixture(np.zeros((2, 900)), [0.8, 1.2]), 30, id="n << p"),
        pytest.param(nsd.GaussianMixture(np.zeros((2, 12)), [0.8, 1.2]), 600, id="n >> p"),
        pytest.param(nsd.GaussianMixture(np.zeros((2, 300)), [0.8, 1.2]), [240, 0], id="an empty class"),
    ],
)
@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("activation", ["relu", "abs", "tanh"])
def test_far_ends(gm, n, activation):
    """Even functions too, whose kernels have no linear part."""
    deq = nsd.DEQ(activation)
    for kernel in ("ck", "ntk"):
        bulk = nsd.spectrum(deq, gm, n, kernel).bulk
        assert_close(bulk.cdf(bulk.support()[1]), 1.0, 1e-6)
        X, y = gm.sample(240 if isinstance(n, list) else n, seed=0)
        X = X[y == 0] if isinstance(n, list) else X
        with np.errstate(all="raise"):
            mean = np.trace(getattr(nsd, kernel)(deq, X / np.sqrt((X**2).sum(axis=1).mean()))) / len(X)
        if not isinstance(n, list) and gm.p > 100:
            assert_close(bulk.mean(), mean, 0.05)


def test_explicit_networks_and_uncentred_activations():
    gm, X, y, tau0 = draw("isotropic", 1.25)
    scale = float(np.sqrt(nsd.Layer("relu").weight_var)) * tau0
    layer = nsd.Layer(nsd.activation("relu").shifted(-scale / np.sqrt(2 * np.pi)))
    par = nsd.Parallel((nsd.MLP((layer,)), nsd.MLP(nsd.Layer("tanh", 0.5))))
    for spec in (nsd.MLP((layer,)), par, nsd.DEQ("relu", 0.2, 0.8, tau0, center=False)):
        values = np.linalg.eigvalsh(nsd.ck(spec, X))
        found = nsd.spectrum(spec, gm, np.bincount(y))
        isolated = [one.value for one in found.isolated if one.side == "right"]
        assert distance(found.bulk, values[: -len(isolated)]) < 0.02
        assert_close(isolated, values[-len(isolated) :], 0.06, scale=values[-len(isolated) :])
    assert isolated[-1] > 30 * found.bulk.support()[1]  # the mean direction of the uncentred one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "both"}, "kernel must be one of"),
        ({"order": "second"}, "order must be one of"),
        ({"n": 1}, "n must be an integer >= 2"),
        ({"n": [5, 5, 5]}, "n must be an integer >= 2 or 2 of them"),
        ({"n": [-1, 5]}, "n must be an integer >= 2 or 2 of them"),
        ({"gm": "paper"}, "gm must be a GaussianMixture, got str"),
        ({"trainable": "none"}, "trainable must be"),
        ({"spec": nsd.DEQ("relu", center=False), "order": "paper"}, "centred activations"),
        ({"spec": nsd.DEQ("relu", sigma_a2=3.0)}, "no stable kernel fixed point"),
    ],
)
@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
def test_illegal_arguments_are_refused(change, message):
    given = {"spec": nsd.DEQ("relu"), "gm": mixture("isotropic", 20), "n": 30} | change
    with pytest.raises(ValueError, match=message):
        nsd.spectrum(**given)


def test_mixtures_off_the_scale_of_a_deq_are_warned_about():
    with pytest.warns(nsd.errors.ScaleWarning, match="mean squared norm"):
        nsd.spectrum(nsd.DEQ("tanh", tau0=2.0), mixture("isotropic", 20), 30)


@pytest.mark.filterwarnings("ignore::notsodeep.errors.ScaleWarning")
@pytest.mark.parametrize("activation", ["abs", "cos"])
def test_even_functions_do_not_see_the_signs_of_means(activation):
    spectra = []
    for sign in (1.0, -1.0):
        means = np.zeros((2, 400))
        means[:, 0] = 10.0, 10.0 * sign
        gm = nsd.GaussianMixture(means, 0.75)
        X, _ = gm.sample(400, seed=0)
        found = nsd.spectrum(nsd.DEQ(activation), gm, 400)
        values = np.linalg.eigvalsh(nsd.ck(nsd.DEQ(activation), X))
        assert min(one.value for one in found.isolated) > 0.7 * values[0]
        assert_close(found.isolated[-1].value, values[-1], 0.05)
        spectra.append([one.value for one in found.isolated])
    assert_close(spectra[0], spectra[1], 0.02)


def test_linear_kernels_have_an_atom():
    bulk = nsd.spectrum(nsd.DEQ("identity"), nsd.GaussianMixture(np.zeros((1, 300)), np.ones((1, 300))), 400).bulk
    assert [mass for _, mass in bulk.atoms] == [pytest.approx(0.25)]


def test_a_rotation_changes_nothing():
    gm = mixture("toeplitz", 40)
    diagonal = in_eigenbasis(gm)
    assert diagonal.covariances.shape == (2, 40)
    assert_close(np.sort(diagonal.covariances[0]), np.linalg.eigvalsh(gm.covariances[0]), KERNEL)
    assert_close(diagonal.means @ diagonal.means.T, gm.means @ gm.means.T, KERNEL, scale=16.0)
    carried = np.einsum("ai,bi,ci->abc", diagonal.means, diagonal.covariances, diagonal.means)
    assert_close(carried, np.einsum("ai,bij,cj->abc", gm.means, gm.covariances, gm.means), KERNEL)


def test_covariances_that_do_not_commute_are_kept_or_approximated():
    roots = np.random.default_rng(0).standard_normal((2, 20, 30))
    full = roots @ roots.transpose(0, 2, 1) / 30
    gm = nsd.GaussianMixture(np.zeros((2, 20)), full)
    assert in_eigenbasis(gm) is gm
    near = in_eigenbasis(gm, approximate=True)
    assert near.covariances.shape == (2, 20)
    assert_close(near.covariances.sum(axis=1), np.trace(full, axis1=1, axis2=2), KERNEL)
