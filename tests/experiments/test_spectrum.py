"""The experiment behind ``notsodeep spectrum``."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.centred import centred_mlp
from notsodeep.experiments.spectrum import STAGES, SpectrumConfig, load_spectrum_samples, run_spectrum
from notsodeep.kernels.distance import relative_distance
from tests.tolerances import KERNEL, ROUNDING, assert_close


@pytest.fixture(scope="module")
def result():
    stages = []
    samples = load_spectrum_samples(n=400, seed=1)
    found = run_spectrum(SpectrumConfig(nsd.DEQ("relu")), samples, stages.append)
    assert tuple(stages) == STAGES
    return found


def test_eigenvalues_are_those_of_the_exact_kernel(result):
    exact = nsd.ck(nsd.DEQ("relu"), result.samples.data.X)
    assert_close(result.eigenvalues, np.linalg.eigvalsh(exact), KERNEL)
    assert_close(result.eigenvalues.sum(), np.trace(exact), KERNEL)


def test_isolated_eigenvalues_are_paired(result):
    assert len(result.isolated) == 2
    assert_close([pair.found for pair in result.isolated], result.eigenvalues[[-1, -2]], ROUNDING)
    assert all(pair.error < 0.1 for pair in result.isolated)
    assert all(sum(pair.found_alignment) <= 1.0 for pair in result.isolated)


def test_the_kolmogorov_distance_is_the_largest_gap_between_distribution_functions(result):
    bulk, values = result.prediction.bulk, result.eigenvalues[:-2]
    at = np.linspace(*bulk.support(), 2001)
    gaps = [abs(bulk.cdf(x) - (values <= x).mean()) for x in at]
    assert max(gaps) <= result.kolmogorov + ROUNDING
    assert_close(max(gaps), result.kolmogorov, 1.5 / len(values), scale=1.0)
    assert result.kolmogorov < 0.02


def test_errors_are_those_of_the_forms(result):
    X, stats = result.samples.data.X, result.samples.statistics
    exact, deq = nsd.ck(nsd.DEQ("relu"), X), nsd.DEQ("relu")
    assert list(result.errors) == ["paper", "norm-aware", "exact squares"]
    bar = nsd.equivalent(deq, X, stats, order="norm-aware")
    assert_close(result.errors["norm-aware"], relative_distance(exact, bar.dense()).spectral, 1e-6)
    assert result.errors["exact squares"] < result.errors["norm-aware"] < result.errors["paper"]


def test_data_are_predicted_from_a_mixture_that_is_fitted_to_them():
    samples = load_spectrum_samples("digits", classes=(3, 8), n=200)
    assert samples.data.n == 200
    assert samples.origin.startswith("fitted to ")
    assert samples.mixture.n_classes == 2
    result = run_spectrum(SpectrumConfig(nsd.DEQ("tanh"), "ntk", ("recurrent", "readout")), samples)
    assert 0.0 < result.kolmogorov < 1.0
    assert result.errors["norm-aware"] < result.errors["paper"]


def test_uncentred_models_have_no_papers_form():
    result = run_spectrum(SpectrumConfig(nsd.DEQ("relu", center=False)), load_spectrum_samples(n=200))
    assert list(result.errors) == ["norm-aware", "exact squares"]
    assert result.isolated[0].found > 5 * result.isolated[1].found


def test_explicit_networks_have_all_forms():
    result = run_spectrum(SpectrumConfig(centred_mlp(["relu"])), load_spectrum_samples(n=200))
    assert list(result.errors) == ["paper", "norm-aware", "exact squares"]


@pytest.mark.parametrize("change", [{"kernel": "both"}, {"trainable": "layer1"}, {"tau0": 0.0}])
def test_a_config_is_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SpectrumConfig(nsd.DEQ("relu"), **change)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": (0, 1)}, "the data set 'gmm' has two classes"),
        ({"scale": "sample"}, "the data set 'gmm' has two classes"),
        ({"n": 2}, "n must be an integer >= 8"),
        ({"name": "digits", "n": 10**6}, "n must be at most"),
        ({"name": "nonsense"}, "nonsense"),
    ],
)
def test_illegal_requests_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        load_spectrum_samples(**given)
