import math
import tracemalloc

import numpy as np
import pytest

from notsodeep.data import GaussianMixture, Statistics, groups
from notsodeep.data import clusters as k_means
from tests.tolerances import (
    CENTRED_TRACES,
    SAMPLES,
    STANDARD_ERRORS_OF_REPEATS,
    TRACE_ROUTES,
    TRACES,
    assert_close,
)

REPEATS = 1500


def mixture(p):
    """Two classes with full covariances that do not commute, and different means."""
    rng = np.random.default_rng(7)
    factors = rng.standard_normal((2, p, p)) / math.sqrt(p)
    covariances = factors @ factors.transpose(0, 2, 1) + np.diag(rng.uniform(0.1, 1.0, p))
    return GaussianMixture(3.0 * rng.standard_normal((2, p)), covariances, weights=[0.4, 0.6])


def test_from_mixture_is_the_definition():
    p, n = 6, 15
    gm = mixture(p)
    X, y = gm.sample(n, seed=0)
    st = Statistics.from_mixture(gm, X, y)
    C = [gm.covariance(a) for a in range(2)]
    share = [(y == a).mean() for a in range(2)]
    C0 = share[0] * C[0] + share[1] * C[1]
    assert st.tau0 == st.within_tau0 == pytest.approx(math.sqrt(np.trace(C0) / p), rel=TRACES)
    np.testing.assert_allclose(st.t, [np.trace(c - C0) / math.sqrt(p) for c in C], rtol=CENTRED_TRACES)
    np.testing.assert_allclose(st.T, [[np.trace(a @ b) / p for b in C] for a in C], rtol=TRACES)
    for i in range(n):
        a = y[i]
        expected = np.sum((X[i] - gm.means[a] / math.sqrt(p)) ** 2) - np.trace(C[a]) / p
        assert st.psi[i] == pytest.approx(expected, abs=SAMPLES)
        assert st.J[i].tolist() == [float(a == 0), float(a == 1)]
    products = [[sum(gm.means[a, i] * gm.means[b, i] for i in range(p)) / p for b in range(2)] for a in range(2)]
    assert_close(st.mean_products, products, TRACES)
    assert (st.n, st.p, st.classes, st.counts.tolist()) == (n, p, (0, 1), [6, 9])
    assert st.source == "population"


def test_from_mixture_of_one_class_and_of_an_empty_class():
    one = GaussianMixture(np.zeros((1, 4)), [2.0])
    st = Statistics.from_mixture(one, *one.sample(5, seed=0))
    assert (st.t.tolist(), st.T.tolist(), st.tau0) == ([0.0], [[4.0]], math.sqrt(2.0))
    two = GaussianMixture(np.ones((2, 4)), [1.0, 3.0])
    X, _ = two.sample(6, seed=0)
    st = Statistics.from_mixture(two, X, np.ones(6, dtype=int))
    assert st.counts.tolist() == [0, 6]
    assert st.t.tolist() == [-4.0, 0.0]


@pytest.mark.parametrize(("p", "n"), [(8, 40), (24, 20)])
def test_estimates_are_unbiased_where_the_plug_in_is_not(p, n):
    gm = mixture(p)
    population = Statistics.from_mixture(gm, *gm.sample(n, seed=0))
    found = {"T": [], "t": [], "within": [], "means": [], "plug-in": [], "plain means": []}
    for seed in range(REPEATS):
        X, y = gm.sample(n, seed=seed)
        st = Statistics.from_data(X, y)
        S = [np.cov(X[y == a].T) for a in range(2)]
        found["T"].append(st.T)
        found["t"].append(st.t)
        found["within"].append(st.within_tau0**2)
        found["means"].append(st.mean_products)
        found["plain means"].append([np.sum(X[y == a].mean(axis=0) ** 2) for a in range(2)])
        found["plug-in"].append([p * np.sum(S[a] ** 2) for a in range(2)])

    def deviation(name, truth):
        draws = np.array(found[name])
        return (draws.mean(axis=0) - truth) / (draws.std(axis=0) / math.sqrt(REPEATS))

    for name, truth in (
        ("T", population.T),
        ("t", population.t),
        ("within", population.within_tau0**2),
        ("means", population.mean_products),
    ):
        worst = np.abs(deviation(name, truth)).max()
        assert worst < STANDARD_ERRORS_OF_REPEATS, f"{name}: {worst:.2f} standard errors"
    bias = [(population.T[a, a] + gm.trace(a) ** 2 / p) / (population.counts[a] - 1) for a in range(2)]  # Gaussian
    assert np.abs(deviation("plug-in", np.diag(population.T) + bias)).max() < STANDARD_ERRORS_OF_REPEATS
    assert deviation("plug-in", np.diag(population.T)).min() > 5 * STANDARD_ERRORS_OF_REPEATS
    assert deviation("plain means", np.diag(population.mean_products)).min() > STANDARD_ERRORS_OF_REPEATS


def test_from_data_is_the_naive_computation():
    rng = np.random.default_rng(2)
    X = rng.gamma(1.0, size=(17, 5))
    y = np.array(["b"] * 6 + ["a"] * 7 + ["c"] * 4)[rng.permutation(17)]
    st = Statistics.from_data(X, y)
    S = {a: np.cov(X[y == a].T) for a in "abc"}
    within = sum((y == a).mean() * np.trace(S[a]) for a in "abc")
    assert st.classes == ("a", "b", "c")
    assert st.counts.tolist() == [7, 6, 4]
    assert st.source == "labels"
    assert st.tau0 == pytest.approx(math.sqrt(np.mean(np.sum(X**2, axis=1))), rel=TRACES)
    assert st.within_tau0 == pytest.approx(math.sqrt(within), rel=TRACES)
    np.testing.assert_allclose(st.t, [math.sqrt(5) * (np.trace(S[a]) - within) for a in "abc"], rtol=CENTRED_TRACES)
    for i, a in enumerate("abc"):
        for j, b in enumerate("abc"):
            if i != j:
                assert st.T[i, j] == pytest.approx(5 * np.trace(S[a] @ S[b]), rel=TRACES)
            product = X[y == a].mean(axis=0) @ X[y == b].mean(axis=0) - (i == j) * np.trace(S[a]) / (y == a).sum()
            assert st.mean_products[i, j] == pytest.approx(product, rel=CENTRED_TRACES)
        rows = X[y == a]
        n = len(rows)
        expected = np.sum((rows - rows.mean(axis=0)) ** 2, axis=1) * n / (n - 1) - np.trace(S[a])
        np.testing.assert_allclose(st.psi[y == a], expected, rtol=CENTRED_TRACES, atol=SAMPLES)
        np.testing.assert_array_equal(st.J[:, i], (y == a).astype(float))


def test_psi_sums_to_zero_in_each_class_and_follows_the_population_value():
    gm = GaussianMixture.paper(2000)
    X, y = gm.sample(200, seed=4)
    estimated, population = Statistics.from_data(X, y).psi, Statistics.from_mixture(gm, X, y).psi
    for a in range(2):
        assert abs(estimated[y == a].sum()) < TRACE_ROUTES
    assert np.corrcoef(estimated, population)[0, 1] > 0.95


def test_more_and_fewer_samples_than_features_give_one_answer():
    """Adding features that are always zero changes the route (n < 2p), not tr(S_a S_b)."""
    gm = mixture(6)
    X, y = gm.sample(30, seed=1)
    padded = np.hstack([X, np.zeros((30, 100))])
    narrow, wide = Statistics.from_data(X, y), Statistics.from_data(padded, y)
    np.testing.assert_allclose(wide.T / 106, narrow.T / 6, rtol=TRACE_ROUTES)
    np.testing.assert_allclose(wide.psi, narrow.psi, atol=SAMPLES)
    assert wide.within_tau0 == pytest.approx(narrow.within_tau0, rel=TRACES)


def naive_cosines(X):
    """Return the quantiles over pairs of at most 1000 rows, in a loop over the rows."""
    n = len(X)
    rows = [X[round(i * (n - 1) / 999)] for i in range(1000)] if n > 1000 else list(X)
    rows = np.array([row / math.sqrt(sum(float(v) ** 2 for v in row)) for row in rows])
    cosines = np.concatenate([rows[i + 1 :] @ rows[i] for i in range(len(rows))])
    order, place = np.sort(cosines), np.array([0.005, 0.995]) * (len(cosines) - 1)
    below = np.floor(place).astype(int)
    return order[below] + (place - below) * (order[np.minimum(below + 1, len(order) - 1)] - order[below])


@pytest.mark.parametrize("n", [12, 999, 1003, 2600])
@pytest.mark.parametrize(("dtype", "block"), [(np.float64, 1 << 23), (np.float32, 1 << 23), (np.float32, 40)])
def test_norms_and_cosines_are_the_naive_ones(monkeypatch, n, dtype, block):
    """Of samples in no order, with norms from 1e-3 to 1e3, all at once and a few at a time."""
    monkeypatch.setattr(groups, "BLOCK", block)
    rng = np.random.default_rng(8)
    X = (rng.standard_normal((n, 5)) + 0.3) * 10.0 ** rng.uniform(-3, 3, (n, 1))
    X = X.astype(dtype)
    gm = GaussianMixture(np.zeros((1, 5)), [1.0])
    for st in (Statistics.from_data(X), Statistics.from_mixture(gm, X, np.zeros(n, dtype=int))):
        norms = [sum(float(v) ** 2 for v in row) for row in X]
        assert_close(st.squared_norms, norms, TRACES, scale=norms)
        assert_close(st.cosines, naive_cosines(X.astype(np.float64)), TRACES)


def test_cosines_of_few_samples():
    gm = GaussianMixture(np.zeros((1, 2)), [1.0])
    assert np.isnan(Statistics.from_mixture(gm, [[1.0, 2.0]], [0]).cosines).all()
    assert Statistics.from_mixture(gm, [[1.0, 2.0], [-4.0, 2.0]], [0, 0]).cosines == pytest.approx(
        (0.0, 0.0), abs=TRACES
    )
    assert Statistics.from_mixture(gm, 3e100 * np.ones((5, 2)), [0] * 5).cosines == pytest.approx(
        (1.0, 1.0), abs=TRACES
    )


FIELDS = ("tau0", "within_tau0", "t", "T", "mean_products", "psi", "squared_norms", "cosines", "J")


def assert_same(one, other, tolerance):
    for field in FIELDS:
        assert_close(getattr(one, field), getattr(other, field), tolerance, what=field)


def test_the_means_are_the_rest_of_the_scale():
    X, y = mixture(6).sample(30, seed=1)
    st = Statistics.from_data(X, y)
    means = st.counts / st.n @ np.diag(st.mean_products)
    assert_close(st.within_tau0**2 + means, np.mean(np.sum(X**2, axis=1)), TRACES)


def test_without_labels_there_is_one_class():
    X, _ = mixture(6).sample(30, seed=1)
    st = Statistics.from_data(X)
    assert_same(st, Statistics.from_data(X, ["only"] * 30), TRACES)
    assert (st.classes, st.source, st.t.tolist(), st.J.shape) == ((0,), "one class", [0.0], (30, 1))
    assert repr(st) == f"Statistics(n=30, p=6, classes=(0,), tau0={st.tau0:.6g}, source='one class')"


def separated(sizes, p=30):
    """Return samples and labels of classes whose means are ten times further apart than samples of one class."""
    rng = np.random.default_rng(5)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 10.0 * np.eye(p)[y] + rng.standard_normal((len(y), p)) / math.sqrt(p), y


@pytest.mark.parametrize("fitted", [60, 10_000])
def test_clusters_are_the_classes_of_separated_samples(monkeypatch, fitted):
    monkeypatch.setattr(k_means, "_FITTED", fitted)
    X, y = separated((20, 70, 41))
    st = Statistics.from_data(X, clusters=3)
    by_size = np.array([2, 0, 1])[y]  # the largest class first
    assert st.J.argmax(axis=1).tolist() == by_size.tolist()
    assert_same(st, Statistics.from_data(X, by_size), TRACES)
    assert (st.classes, st.source) == ((0, 1, 2), "k-means, 3 clusters")


def test_clusters_are_seeded():
    X = np.random.default_rng(0).standard_normal((60, 10))  # no classes: what is found depends on the start
    draws = [Statistics.from_data(X, clusters=5, seed=seed).J for seed in (1, 1, np.random.default_rng(1), 2, 3)]
    np.testing.assert_array_equal(draws[0], draws[1])
    np.testing.assert_array_equal(draws[0], draws[2])
    assert any((draws[0] != other).any() for other in draws[3:])


@pytest.mark.parametrize("choice", [{"y": [0, 1] * 15}, {"clusters": 2}, {}])
def test_samples_are_not_changed(choice):
    X, _ = mixture(6).sample(30, seed=1)
    before = X.copy()
    Statistics.from_data(X, **choice)
    np.testing.assert_array_equal(X, before)


def test_single_precision_is_computed_in_double():
    X, y = mixture(6).sample(30, seed=1)
    single = X.astype(np.float32)
    assert_same(Statistics.from_data(single, y), Statistics.from_data(single.astype(np.float64), y), TRACES)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "p"), [(3000, 1000), (1500, 2000)])
@pytest.mark.parametrize("labelled", [True, False])
def test_samples_are_not_copied(dtype, n, p, labelled):
    X = np.random.default_rng(0).standard_normal((n, p), dtype=np.float32).astype(dtype)
    y = np.arange(n) % 3 if labelled else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "BLOCK", X.size // 20)
        tracemalloc.start()
        Statistics.from_data(X, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 0.5 * 8 * X.size


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((8, 2)), [0] * 5 + [1] * 3, "at least 4 samples of each class .*, class 1 has 3"),
        (np.ones((8, 2)), [0] * 7, "y must have shape"),
        (np.ones(8), [0] * 8, "X must have shape"),
        (np.full((8, 2), np.nan), [0] * 8, "NaN or infinite"),
        (np.ones((3, 2)), None, "X must have n >= 4 samples"),
        (np.ones((3, 2), dtype=np.float32), None, "X must have n >= 4 samples"),
    ],
)
def test_bad_data(X, y, message):
    with pytest.raises(ValueError, match=message):
        Statistics.from_data(X, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": 1}, "clusters must be an integer >= 2, got 1"),
        ({"clusters": 2.0}, "clusters must be an integer >= 2, got 2.0"),
        ({"clusters": 6}, "at most 5 clusters of 20 samples, got 6"),
        ({"y": [0] * 20}, "y and clusters = 2 exclude each other"),
        ({"seed": -1}, "seed must be a non-negative integer"),
        (
            {"X": np.vstack([np.eye(2)[[0] * 17], 9.0 * np.eye(2)[[1] * 3]])},
            "gives a cluster of 3 samples.*lower clusters",
        ),
        ({"X": np.ones((20, 2))}, "gives a cluster of 0 samples.*repeated samples"),
    ],
)
def test_bad_clusters(change, message):
    given = {"X": np.random.default_rng(0).standard_normal((20, 2)), "clusters": 2} | change
    with pytest.raises(ValueError, match=message):
        Statistics.from_data(**given)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 4)), [0, 1, 0], "X must have p = 2 features as the mixture, got 4"),
        (np.ones((3, 2)), [0, 2, 0], r"y must hold labels in 0\.\.1, the classes of the mixture, got 2"),
        (np.ones((3, 2)), [-1, 1, 0], r"y must hold labels in 0\.\.1"),
        (np.ones((3, 2)), ["a", "b", "a"], r"y must hold labels in 0\.\.1"),
        (np.ones((3, 2)), [0, 1], "y must have shape"),
    ],
)
def test_bad_samples_of_a_mixture(X, y, message):
    with pytest.raises(ValueError, match=message):
        Statistics.from_mixture(GaussianMixture(np.zeros((2, 2)), 1.0), X, y)


def test_something_else_than_a_mixture():
    with pytest.raises(ValueError, match="gm must be a GaussianMixture, got float"):
        Statistics.from_mixture(1.0, np.ones((3, 2)), [0, 1, 0])
