"""Distances of exact kernels on data, one kernel or both, against NumPy alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.matching.fidelity import kernel_pairs
from tests.tolerances import CENTRAL, ROUNDING, assert_close

PAPERS = ("recurrent", "readout")
DEQ = nsd.DEQ("relu")


@pytest.fixture(scope="module")
def X():
    return nsd.load_dataset("digits", n=90).X


def exact(spec, name, X, Y=None, trainable="all"):
    return nsd.ck(spec, X, Y) if name == "ck" else nsd.ntk(spec, X, Y, trainable=trainable)


@pytest.mark.parametrize("kernel", ["ck", "ntk", "both"])
def test_distances_are_norms_of_the_difference(X, kernel):
    found = nsd.match(DEQ, kernel, trainable=PAPERS)
    report = found.report(X)
    assert (report.kernel, report.n) == (kernel, 90)
    assert list(report.distances) == (["ck", "ntk"] if kernel == "both" else [kernel])
    largest = {2: 0.0, "fro": 0.0}
    for name, distance in report.distances.items():
        deq, network = exact(DEQ, name, X, trainable=PAPERS), exact(found.spec, name, X)
        for order, got in ((2, distance.spectral), ("fro", distance.frobenius)):
            want = np.linalg.norm(deq - network, order) / np.linalg.norm(deq, order)
            assert_close(got, want, CENTRAL, what=f"{name}, {order}")
            largest[order] = max(largest[order], want)
    assert_close([report.spectral, report.frobenius], list(largest.values()), CENTRAL)


@pytest.mark.parametrize("kernel", ["ck", "ntk", "both"])
def test_pairs_of_kernels_may_be_rectangular(X, kernel):
    found = nsd.match(DEQ, kernel, trainable=PAPERS)
    for name, (deq, network) in kernel_pairs(found, X[:50], X[50:]).items():
        assert_close(deq, exact(DEQ, name, X[:50], X[50:], PAPERS), ROUNDING)
        assert_close(network, exact(found.spec, name, X[:50], X[50:]), ROUNDING)


def test_tensors_are_welcome(X):
    found = nsd.match(DEQ, "both")
    assert found.report(torch.from_numpy(X)) == found.report(X)
