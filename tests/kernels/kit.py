"""Conformance kit: what every kernel of every model must satisfy, whatever the model.

A test class inherits :class:`KernelConformance` and gives a fixture ``model`` of two factories: the spec, and the same
model in naive form (``kernels(x, y, trained) -> (ck, ntk)`` of two samples).
"""

from __future__ import annotations

import abc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.kernels import tiling
from notsodeep.spec import weight_names
from tests.tolerances import DEFINITE, KERNEL, SAME_PAIR, assert_close

EPSILON = np.finfo(float).eps
MERGED = 16 * EPSILON
"""Correlations as close to 1 as this count as 1."""


@dataclass(frozen=True)
class Model:
    """Two factories: the spec and the same thing done naively."""

    name: str
    spec: Callable[[], Any]
    naive: Callable[[], Any]
    kinked: bool
    """Whether a slope jumps: then the NTK of near copies feels the rounding of their Gram entry."""


def adversarial() -> np.ndarray:
    """Return samples of norms 0.05 to 5: copies, opposite ones, multiples, near copies, orthogonal and random ones."""
    rng = np.random.default_rng(20)
    X = rng.standard_normal((11, 4))
    X *= (np.geomspace(0.05, 5.0, 11) / np.linalg.norm(X, axis=1))[:, None]
    X[3] = X[7]
    X[4] = -X[7]
    X[5] = 0.25 * X[7]
    X[6] = X[7] + 1e-6 * rng.standard_normal(4)
    X[8] = [0.9, 0.0, 0.0, 0.0]
    X[9] = [0.0, 0.0, 1.2, 0.0]
    return X


COPIES = (3, 7)
PROBED = ((0, 1), (2, 10), (3, 7), (5, 7), (4, 7), (6, 7), (8, 9), (10, 10))
"""Pairs that the naive implementation is asked about."""
APART = [0, 2, 7, 8, 10]
"""Samples that are no copies of each other, multiples or nearly so: cheap."""


@dataclass(frozen=True)
class Known:
    """A model with its kernels on the adversarial samples, computed once."""

    model: Model
    spec: Any
    X: np.ndarray
    kernels: tuple[np.ndarray, np.ndarray]

    def bounds(self, tolerance: float) -> list[np.ndarray]:
        """Return the errors allowed in both kernels: ``tolerance`` of ``sqrt(K_ii K_jj)``, and what rounding makes.

        ``E[phi' phi']`` of a kinked phi loses ``sqrt(1 - rho)`` towards correlation 1, so that the rounding of rho
        (a few units, from the Gram matrix and the fixed point) is divided by that.
        """
        sizes = [np.sqrt(np.outer(K.diagonal(), K.diagonal())) for K in self.kernels]
        gap = 1.0 - np.abs(self._correlations())
        rounding = np.where(gap > MERGED, 8.0 * EPSILON / np.sqrt(np.maximum(gap, MERGED)), 0.0)
        return [tolerance * sizes[0], (tolerance + self.model.kinked * rounding) * sizes[1]]

    def _correlations(self) -> np.ndarray:
        covariance = self.X @ self.X.T
        if isinstance(self.spec, nsd.DEQ):
            deq = self.spec
            covariance = deq.sigma_a2 * self.kernels[0] + deq.sigma_b2 * covariance + deq.sigma_c2
        scale = np.sqrt(covariance.diagonal())
        return covariance / np.outer(scale, scale)


@cache
def compute(model: Model, compiled_from: int) -> Known:
    """Return the model with its kernels; tests of one model and route share them."""
    spec, X = model.spec(), adversarial()
    with Quiet(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "COMPILED_FROM", compiled_from)
        return Known(model, spec, X, nsd.kernels(spec, X))


@cache
def naive_values(model: Model) -> np.ndarray:
    """Return CK and NTK of the probed pairs by the naive implementation."""
    naive, X, trained = model.naive(), adversarial(), weight_names(model.spec())
    return np.array([naive.kernels(X[a], X[b], trained) for a, b in PROBED]).T


class Quiet(warnings.catch_warnings):
    """Norms are far from tau0 here, and some activations are steep: both are warned about elsewhere."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore", nsd.errors.ScaleWarning)
        warnings.simplefilter("ignore", nsd.errors.StabilityWarning)
        return entered


class KernelConformance(abc.ABC):
    """Checks of ``ck``, ``ntk``, ``kernels`` and ``diagonals``; ``model`` is one of them."""

    COMPILED_FROM = tiling.COMPILED_FROM
    """Pairs from which the compiled loops serve: as it is, or 0 to test them on few samples."""

    @pytest.fixture
    @abc.abstractmethod
    def model(self, request: Any) -> Model:
        """Return the model under test."""

    @pytest.fixture
    def known(self, model: Model) -> Known:
        return compute(model, self.COMPILED_FROM)

    @pytest.fixture(autouse=True)
    def _surroundings(self, monkeypatch):
        monkeypatch.setattr(tiling, "COMPILED_FROM", self.COMPILED_FROM)
        with Quiet():
            yield

    def test_kernels_are_symmetric_to_the_last_bit(self, known):
        for K in known.kernels:
            assert K.shape == (len(known.X),) * 2
            assert np.isfinite(K).all()
            np.testing.assert_array_equal(K, K.T)

    def test_kernels_are_positive_semidefinite(self, known):
        for K in known.kernels:
            assert np.linalg.eigvalsh(K)[0] >= DEFINITE * np.trace(K) / len(K)

    def test_each_kernel_alone_is_the_same_as_both_at_once(self, known):
        X = known.X[APART]
        G, K = nsd.kernels(known.spec, X)
        np.testing.assert_array_equal(nsd.ck(known.spec, X), G)
        np.testing.assert_array_equal(nsd.ntk(known.spec, X), K)

    def test_pairs_agree_with_the_naive_implementation(self, known):
        i, j = np.array(PROBED).T
        want = naive_values(known.model)
        for K, values, bound in zip(known.kernels, want, known.bounds(KERNEL), strict=True):
            assert_close(K[i, j], values, 1.0, scale=bound[i, j], what=known.model.name)

    def test_two_sets_of_samples_give_the_off_diagonal_block(self, known):
        found = nsd.kernels(known.spec, known.X, known.X[3:9].copy())
        for K, block, bound in zip(known.kernels, found, known.bounds(KERNEL), strict=True):
            assert_close(block, K[:, 3:9], 1.0, scale=bound[:, 3:9], what=known.model.name)

    def test_diagonals_are_those_of_the_matrices(self, known):
        for K, diagonal in zip(known.kernels, nsd.kernels.diagonals(known.spec, known.X), strict=True):
            assert_close(diagonal, K.diagonal(), SAME_PAIR, scale=K.diagonal())

    def test_order_of_the_samples_does_not_matter(self, known):
        order = np.random.default_rng(1).permutation(len(known.X))
        self._check_part(known, order)

    def test_other_samples_do_not_matter(self, known):
        """A spec is one kernel function: its shift is fixed by tau0, not by the data."""
        self._check_part(known, [1, 7, 6, 9])

    def _check_part(self, known, some):
        some = np.ix_(some, some)
        found = nsd.kernels(known.spec, known.X[some[1][0]])
        for K, part, bound in zip(known.kernels, found, known.bounds(SAME_PAIR), strict=True):
            assert_close(part, K[some], 1.0, scale=bound[some], what=known.model.name)

    def test_copies_of_a_sample_share_its_values(self, known):
        i, j = COPIES
        for K, bound in zip(known.kernels, known.bounds(SAME_PAIR), strict=True):
            assert_close(K[i, j], K[i, i], KERNEL, what=known.model.name)
            assert_close(K[i], K[j], 1.0, scale=np.maximum(bound[j], KERNEL * K[j, j]), what=known.model.name)

    def test_rotations_of_the_samples_do_not_matter(self, known):
        rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0]
        found, apart = nsd.kernels(known.spec, known.X[APART] @ rotation), np.ix_(APART, APART)
        for K, moved, bound in zip(known.kernels, found, known.bounds(KERNEL), strict=True):
            assert_close(moved, K[apart], 1.0, scale=bound[apart], what=known.model.name)

    def test_tensors_come_back_as_tensors(self, known):
        X = torch.from_numpy(known.X[APART])
        for K, tensor in zip(nsd.kernels(known.spec, X.numpy()), nsd.kernels(known.spec, X), strict=True):
            assert isinstance(tensor, torch.Tensor)
            assert (tensor.dtype, tensor.device) == (torch.float64, X.device)
            np.testing.assert_array_equal(tensor.numpy(), K)
        for diagonal in nsd.kernels.diagonals(known.spec, X):
            assert isinstance(diagonal, torch.Tensor)

    def test_arrays_come_back_as_arrays_of_doubles(self, known):
        for K in (*known.kernels, *nsd.kernels.diagonals(known.spec, known.X)):
            assert type(K) is np.ndarray
            assert K.dtype == np.float64

    def test_samples_are_left_as_they_were(self, known):
        np.testing.assert_array_equal(known.X, adversarial())

    def test_weights_contribute_separately(self, known):
        names, X, part = weight_names(known.spec), known.X[APART], np.ix_(APART, APART)
        bound = known.bounds(SAME_PAIR)[1][part]
        alone = [nsd.ntk(known.spec, X, trainable=name) for name in names]
        assert_close(sum(alone), known.kernels[1][part], 1.0, scale=bound)
        for (a, one), (b, other) in combinations(zip(names, alone, strict=True), 2):
            assert_close(nsd.ntk(known.spec, X, trainable=(a, b)), one + other, 1.0, scale=bound, what=f"{a} and {b}")

    def test_the_readout_alone_gives_the_conjugate_kernel(self, known):
        G, K = nsd.kernels(known.spec, known.X[APART], trainable="readout")
        np.testing.assert_array_equal(G, K)
