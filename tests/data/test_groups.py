import numpy as np
import pytest

from notsodeep.checks import samples
from notsodeep.data import groups
from notsodeep.data.groups import Groups, compact_samples
from tests.tolerances import TRACES, assert_close

N, P = 23, 5


@pytest.fixture(params=[1, 12, 1000])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(groups, "BLOCK", request.param)


def data(dtype=np.float64):
    rng = np.random.default_rng(3)
    index = np.append(rng.integers(0, 3, N - 3), [0, 1, 2])
    return (rng.gamma(1.0, size=(N, P)) + 5.0 * index[:, None]).astype(dtype), index


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_hold_every_sample_about_its_class_mean(dtype):
    X, index = data(dtype)
    view = Groups.about_means(X, index)
    wide = X.astype(np.float64)
    means = np.array([wide[index == a].mean(axis=0) for a in range(3)])
    assert_close(view.means, means, TRACES)
    assert view.counts.tolist() == [(index == a).sum() for a in range(3)]
    for a in (None, 0, 1, 2):
        spans = list(view.spans(a))
        rows = np.concatenate([view.order[slice(*span)] for span in spans])
        assert sorted(rows) == [i for i in range(N) if a is None or index[i] == a]
        got = np.concatenate([view.block(*span) for span in spans])
        assert got.dtype == np.float64
        assert_close(got, wide[rows] - means[index[rows]], TRACES)
    assert_close(view.squared_norms(), ((wide - means[index]) ** 2).sum(axis=1), TRACES)
    assert all(stop - start <= 2 for start, stop in view.spans(most=2))


def test_a_class_may_be_empty_where_centres_are_given():
    X, index = data()
    centres = np.arange(4.0)[:, None] * np.ones(P)
    view = Groups.about(X, np.where(index == 1, 3, index), centres)
    assert (view.counts[1], list(view.spans(1))) == (0, [])
    want = [np.sum((X[i] - (3.0 if index[i] == 1 else index[i])) ** 2) for i in range(N)]
    assert_close(view.squared_norms(), want, TRACES)


@pytest.mark.usefixtures("_blocks")
def test_compact_samples_keep_single_precision_and_widen_the_rest():
    X, _ = data(np.float32)
    assert compact_samples("X", X) is X
    wide = X.astype(np.float64)
    assert compact_samples("X", wide) is wide
    assert compact_samples("X", X.astype(np.float16)).dtype == np.float64


def spoilt(value):
    X, _ = data(np.float32)
    X[7], X[20] = value, value
    return X


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("X", [spoilt(np.nan), spoilt(0.0), np.ones(3, np.float32), np.ones((3, 2), np.float32)])
def test_compact_samples_are_refused_as_others_are(X):
    with pytest.raises(ValueError, match="X ") as wide:
        samples("X", X, at_least=4)
    with pytest.raises(ValueError, match="X ") as compact:
        compact_samples("X", X, at_least=4)
    assert str(compact.value) == str(wide.value)
