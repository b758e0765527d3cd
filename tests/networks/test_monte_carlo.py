"""Sampled kernels: against the kernels of their draws taken together, exact kernels, and independent repeats."""

import math

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.networks import empirical_ck, empirical_ntk, monte_carlo, sampled_kernel
from tests.tolerances import KERNEL_STATISTICS, STANDARD_ERRORS, STANDARD_ERRORS_OF_REPEATS, assert_close

DEQ = nsd.DEQ("relu", sigma_a2=0.3, sigma_b2=0.7)
MLP = nsd.MLP((nsd.Layer("tanh", 1.5, 0.5, bias_var=0.3), nsd.Layer("silu", 0.8, 2.0)))
PARALLEL = nsd.Parallel((MLP, nsd.MLP((nsd.Layer("gelu", 1.2, 0.4),))))
TRAINED = {"DEQ": ("recurrent", "readout"), "MLP": ("layer1", "bias1", "readout"), "Parallel": "all"}


def sphere(n=4, p=6, seed=2):
    X = np.random.default_rng(seed).standard_normal((n, p))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def drawn(spec, X, Y, width, kernel, seeds):
    nets = [spec.to_torch(X.shape[1], width, seed=seed) for seed in seeds]
    if kernel == "ck":
        return np.stack([empirical_ck(net, X, Y) for net in nets])
    return np.stack([empirical_ntk(net, X, Y, TRAINED[type(spec).__name__]) for net in nets])


@pytest.mark.parametrize("draws", [2, 5, 6])
@pytest.mark.parametrize("Y", [None, sphere(3, seed=5)], ids=["square", "rectangular"])
@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("spec", [DEQ, MLP, PARALLEL])
def test_statistics_are_those_of_all_draws_at_once(spec, kernel, Y, draws):
    X, trained = sphere(), TRAINED[type(spec).__name__]
    kernels = drawn(spec, X, Y, 20, kernel, [monte_carlo._seed(3, k) for k in range(draws)])
    exact = nsd.ck(spec, X, Y) if kernel == "ck" else nsd.ntk(spec, X, Y, trained)
    found = sampled_kernel(spec, X, 20, Y, kernel=kernel, trainable=trained, draws=draws, seed=3)
    assert (found.draws, found.width) == (draws, 20)
    assert_close(found.mean, kernels.mean(axis=0), KERNEL_STATISTICS)
    error = kernels.std(axis=0, ddof=1) / math.sqrt(draws)
    assert_close(found.standard_error, error, KERNEL_STATISTICS)
    halves = kernels[1::2].mean(axis=0) - kernels[::2].mean(axis=0)
    noise = halves / math.sqrt(draws * (1 / len(kernels[::2]) + 1 / len(kernels[1::2])))
    for kind, chance in (("fro", np.linalg.norm(error)), (2, np.linalg.norm(noise, 2))):
        scale = np.linalg.norm(exact, kind)
        each = np.array([np.linalg.norm(one - exact, kind) for one in kernels]) / scale
        of_mean = np.linalg.norm(kernels.mean(axis=0) - exact, kind) / scale
        got = found.frobenius if kind == "fro" else found.spectral
        wanted = [each.mean(), each.std(ddof=1) / math.sqrt(draws), of_mean, chance / scale]
        assert_close([got.single, got.single_error, got.mean, got.chance], wanted, KERNEL_STATISTICS)


@pytest.mark.parametrize("kernel", ["ck", "ntk"])
@pytest.mark.parametrize("spec", [DEQ, MLP, PARALLEL])
def test_wide_networks_have_the_exact_kernel_within_their_errors(spec, kernel):
    """Of a width where the bias, of order 1/m, is well below the error of the mean, of order 1/sqrt(m draws)."""
    X, draws = sphere(), 40
    exact = nsd.ck(spec, X) if kernel == "ck" else nsd.ntk(spec, X)
    found = sampled_kernel(spec, X, 400, kernel=kernel, draws=draws)
    deviation = np.abs(found.mean - exact) / found.standard_error
    assert deviation.max() < STANDARD_ERRORS, f"{deviation.max():.2f} standard errors"
    upper = deviation[np.triu_indices(len(X))]
    assert 0.2 < np.sqrt(np.square(upper).mean()) < 2.0, "errors of another size than what is missed"
    assert found.frobenius.mean < 3.0 * found.frobenius.chance
    assert found.frobenius.single > 3.0 * found.frobenius.chance


def test_another_kernel_shows_as_a_bias():
    X = sphere()
    other = nsd.ck(nsd.DEQ("tanh"), X)
    found = sampled_kernel(DEQ, X, 400, draws=20, exact=other)
    own = sampled_kernel(DEQ, X, 400, draws=20)
    np.testing.assert_array_equal(found.mean, own.mean)
    for got, norm in ((found.spectral, 2), (found.frobenius, "fro")):
        bias = np.linalg.norm(nsd.ck(DEQ, X) - other, norm) / np.linalg.norm(other, norm)
        assert abs(got.mean - bias) < 4.0 * got.chance < 0.5 * bias


def test_standard_errors_are_the_scatter_of_repeats():
    X, draws, repeats = sphere(3), 8, 60
    exact = nsd.ntk(MLP, X)
    runs = [sampled_kernel(MLP, X, 30, kernel="ntk", exact=exact, draws=draws, seed=seed) for seed in range(repeats)]
    scatter = np.stack([run.mean for run in runs]).var(axis=0, ddof=1)
    claimed = np.mean([run.standard_error**2 for run in runs], axis=0)
    spread = math.sqrt(2 / (repeats - 1)) * math.sqrt(1 + 1 / draws)
    assert (np.abs(scatter / claimed - 1) < STANDARD_ERRORS_OF_REPEATS * spread).all()
    single = np.array([run.frobenius.single for run in runs])
    ratio = single.var(ddof=1) / np.mean([run.frobenius.single_error**2 for run in runs])
    assert abs(ratio - 1) < STANDARD_ERRORS_OF_REPEATS * spread
    for norm, kind in (("spectral", 2), ("frobenius", "fro")):
        noise = [
            np.linalg.norm(a.mean - b.mean, kind) / math.sqrt(2) for a, b in zip(runs[::2], runs[1::2], strict=True)
        ]
        chance = np.array([getattr(run, norm).chance for run in runs]) * np.linalg.norm(exact, kind)
        ratio = np.square(chance).mean() / np.square(noise).mean()
        assert 0.6 < ratio < 1.6, f"{norm}: chance squared is {ratio:.2f} times what repeats show"


def test_draws_have_seeds_of_their_own():
    X = sphere(2)
    few, more = (sampled_kernel(MLP, X, 10, draws=draws, seed=7) for draws in (2, 4))
    seeds = [monte_carlo._seed(7, k) for k in range(4)]
    kernels = drawn(MLP, X, None, 10, "ck", seeds)
    assert_close(few.mean, kernels[:2].mean(axis=0), KERNEL_STATISTICS)
    assert_close(more.mean, kernels.mean(axis=0), KERNEL_STATISTICS)
    assert len({monte_carlo._seed(seed, k) for seed in range(50) for k in range(50)}) == 2500
    again, other = (sampled_kernel(MLP, X, 10, draws=2, seed=seed) for seed in (7, 8))
    np.testing.assert_array_equal(again.mean, few.mean)
    assert (np.abs(other.mean - few.mean) > 1e-6).all()


def test_kernels_are_not_kept(monkeypatch):
    """Ten times the draws, the same memory: no kernel of a draw is alive when the next one is made."""
    import weakref

    alive, most = weakref.WeakSet(), 0
    plain = monte_carlo.empirical_ck

    class Array(np.ndarray):
        """One that a weak set can hold."""

        __hash__ = object.__hash__

    def watched(*arguments):
        nonlocal most
        kernel = plain(*arguments).view(Array)
        alive.add(kernel)
        most = max(most, len(alive))
        return kernel

    monkeypatch.setattr(monte_carlo, "empirical_ck", watched)
    sampled_kernel(MLP, sphere(2), 10, draws=20)
    assert most <= 2


def test_precision_and_options_reach_the_networks():
    X = sphere()
    single = sampled_kernel(DEQ, X, 30, draws=3, dtype=torch.float32)
    double = sampled_kernel(DEQ, X, 30, draws=3)
    assert single.mean.dtype == np.float64
    gap = np.abs(single.mean - double.mean).max()
    assert 0 < gap < 1e-5
    coarse = sampled_kernel(DEQ, X, 30, draws=3, tol=0.1)
    assert np.abs(coarse.mean - double.mean).max() > 100 * gap
    ternary = sampled_kernel(MLP, X, 30, draws=3, weights="ternary", sparsity=0.5)
    assert np.abs(ternary.mean - sampled_kernel(MLP, X, 30, draws=3).mean).max() > 1e-3


def test_tensors_in_arrays_out():
    X = sphere()
    found = sampled_kernel(DEQ, torch.tensor(X), 10, draws=2)
    assert isinstance(found.mean, np.ndarray)
    np.testing.assert_array_equal(found.mean, sampled_kernel(DEQ, X, 10, draws=2).mean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": "relu"}, "spec must be a DEQ, an MLP or a Parallel"),
        ({"X": np.zeros(3)}, r"X must have shape \(n, p\), got \(3,\)"),
        ({"X": np.full((2, 6), np.nan)}, "X has NaN"),
        ({"Y": np.zeros((2, 3))}, "Y"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"kernel": "gp"}, "kernel must be one of 'ck', 'ntk', got 'gp'"),
        ({"trainable": "layer1"}, "trainable must be 'all'"),
        ({"draws": 1}, "draws must be an integer >= 2, got 1"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"dtype": torch.float16}, "dtype must be torch.float32 or torch.float64, got torch.float16"),
        ({"exact": np.zeros((4, 4))}, r"exact must be a finite kernel of shape \(4, 4\) that is not zero"),
        ({"exact": np.ones((4, 3))}, r"exact must be a finite kernel of shape \(4, 4\)"),
        ({"tol": -1.0}, "tol must be a finite number"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        sampled_kernel(**({"spec": DEQ, "X": sphere(), "width": 10} | changes))
