"""The truth: exact kernels of DEQ and network on data, ten classes, and not the residual of the equations."""

from __future__ import annotations

import numpy as np
import pytest

import notsodeep as nsd
from tests.tolerances import FROBENIUS, SPECTRAL

PAPERS = ("recurrent", "readout")


def distances(deq, kernel, trainable, X):
    """Return the relative spectral and Frobenius distances, of both kernels the larger ones, with NumPy alone."""
    found = nsd.match(deq, kernel, trainable=trainable)
    assert found.status == "matched"
    pairs = dict(
        zip(
            ("ck", "ntk"),
            zip(nsd.kernels(deq, X, trainable=trainable), nsd.kernels(found.spec, X), strict=True),
            strict=True,
        )
    )
    each = []
    for exact, shallow in pairs.values() if kernel == "both" else [pairs[kernel]]:
        spectral = [np.abs(np.linalg.eigvalsh(matrix)).max() for matrix in (exact - shallow, exact)]
        each.append((spectral[0] / spectral[1], np.linalg.norm(exact - shallow) / np.linalg.norm(exact)))
    return np.max(each, axis=0)


@pytest.mark.parametrize(
    ("name", "scale", "kernel", "trainable", "bound"),
    [
        ("relu", "mean", "ck", "all", 3e-4),
        ("relu", "sample", "ck", "all", 3e-4),
        ("tanh", "mean", "ck", "all", 2e-3),
        ("tanh", "sample", "ck", "all", 1e-3),
        ("gelu", "mean", "ck", "all", 5e-3),
        ("relu", "mean", "ntk", "all", 1e-3),
        ("relu", "sample", "ntk", PAPERS, 1e-3),
        ("tanh", "mean", "ntk", "all", 2e-3),
        ("tanh", "sample", "ntk", PAPERS, 1e-3),
        ("gelu", "mean", "both", "all", 1e-2),
    ],
)
def test_networks_have_the_kernels_of_the_deq_on_digits(name, scale, kernel, trainable, bound):
    """Measured: CK 8e-5, 8e-5, 4e-4, 5e-5, 1.3e-3; NTK 2.7e-4, 2.1e-4, 5e-4, 8e-5; both 2.5e-3."""
    X, _ = nsd.load_dataset("digits", n=300, scale=scale)
    spectral, frobenius = distances(nsd.DEQ(name), kernel, trainable, X)
    assert spectral < bound, spectral
    assert frobenius < 1.5 * bound, frobenius


@pytest.mark.parametrize(
    ("name", "scale", "bound"),
    [("relu", "mean", 3e-4), ("relu", "sample", 3e-4), ("tanh", "mean", 4e-3), ("tanh", "sample", 3e-4)],
)
def test_networks_have_the_ck_of_the_deq_on_mnist(data_dir, name, scale, bound):
    """Measured: 3.4e-5, 4.6e-5, 1.1e-3, 4.6e-5."""
    X, _ = nsd.load_dataset("mnist", n=2000, data_dir=data_dir, scale=scale)
    spectral, _ = distances(nsd.DEQ(name), "ck", "all", X)
    assert spectral < bound, spectral


def test_unmatched_networks_are_far():
    """Two ReLU layers as they come: what matching is for. Measured on MNIST: 0.66."""
    X, _ = nsd.load_dataset("digits", n=300)
    deq = nsd.DEQ("relu")
    exact = nsd.ck(deq, X)
    plain = nsd.ck(nsd.MLP((nsd.Layer("relu"), nsd.Layer("relu"))), X)
    assert np.linalg.norm(exact - plain, 2) > 0.3 * np.linalg.norm(exact, 2)


def test_the_report_is_of_these_distances():
    X, _ = nsd.load_dataset("digits", n=300)
    report = nsd.match(nsd.DEQ("tanh")).report(X)
    spectral, frobenius = distances(nsd.DEQ("tanh"), "ck", "all", X)
    assert report.n == 300
    assert abs(report.spectral / spectral - 1.0) < SPECTRAL
    assert abs(report.frobenius / frobenius - 1.0) < FROBENIUS
