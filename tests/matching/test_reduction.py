"""A DEQ with a bias and an uncentred activation, as a centred one without: the scale, the kernels, the network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.errors import NotCoveredError
from notsodeep.kernels.distance import relative_distance
from notsodeep.kernels.scalar import rest_point
from notsodeep.matching.reduction import Reduction, match_any
from tests.tolerances import FORWARD, KERNEL, REDUCED, REDUCED_AT_OTHER_NORMS, ROOTS, assert_close

MODELS = [
    nsd.DEQ("relu", sigma_a2=0.4, sigma_b2=0.5, center=False),
    nsd.DEQ("relu", sigma_a2=0.8, sigma_b2=0.3, tau0=2.0, center=False, sigma_c2=0.4),
    nsd.DEQ("gelu", sigma_a2=0.5, center=False, sigma_c2=0.1),
    nsd.DEQ("sigmoid", sigma_a2=2.0, center=False, sigma_c2=0.1),
    nsd.DEQ("tanh", sigma_a2=0.7, center=False, sigma_c2=0.3),
    nsd.DEQ("silu", sigma_a2=0.5, sigma_c2=0.3),  # centred, with a bias
    nsd.DEQ("elu", sigma_a2=0.3, center=False),
]

SEVERAL = nsd.DEQ("hermite:coefficients=2.1/-0.3/-0.8/-0.1", sigma_a2=0.36, sigma_b2=0.005, center=False)
"""Its mean falls with the scale, so that the centred form has a smaller scale to rest at"""


def directions(n, p=8, norm=1.0):
    X = np.random.default_rng(0).standard_normal((n, p))
    return norm * X / np.linalg.norm(X, axis=1, keepdims=True)


def spread(kernel):
    return np.sqrt(np.outer(kernel.diagonal(), kernel.diagonal()))


def test_the_constants_of_a_relu_by_hand():
    a2, b2, c2, tau0 = 0.6, 0.5, 0.2, 1.5
    q = (b2 * tau0**2 + c2) / (1.0 - a2 / 2.0)  # E[relu(u)^2] = q / 2
    mean = math.sqrt(q / (2.0 * math.pi))
    found = Reduction.of(nsd.DEQ("relu", a2, b2, tau0, center=False, sigma_c2=c2))
    assert_close(found.mean, mean, ROOTS)
    assert_close(found.constant**2, (a2 * mean**2 + c2) / b2, ROOTS)
    assert_close(found.centred.tau0**2, tau0**2 + found.constant**2, ROOTS)
    assert_close(rest_point(found.centred).tau_star ** 2, q, ROOTS)
    assert found.centred.center
    assert found.centred.sigma_c2 == 0.0


def test_a_centred_model_without_bias_stays():
    deq = nsd.DEQ("relu", 0.3, 0.6)
    found = Reduction.of(deq)
    assert (found.mean, found.constant, found.centred.tau0) == (0.0, 0.0, 1.0)
    X = directions(3)
    assert found.augmented(X) is X
    assert_close(nsd.ck(found.centred, X), nsd.ck(deq, X), KERNEL)


@pytest.mark.parametrize("deq", MODELS, ids=repr)
def test_kernels_at_one_norm_differ_by_a_constant(deq):
    X, found = directions(12, norm=deq.tau0), Reduction.of(deq)
    augmented = found.augmented(X)
    assert augmented.shape == (12, 9)
    for kernel in (nsd.ck, nsd.ntk):
        want = kernel(deq, X)
        assert_close(kernel(found.centred, augmented) + found.mean**2, want, 10 * KERNEL, scale=spread(want))


def test_at_other_norms_they_differ_by_more():
    deq = nsd.DEQ("relu", sigma_a2=0.4, sigma_b2=0.5, center=False)
    X = directions(12) * np.linspace(0.8, 1.2, 12)[:, None]
    found = Reduction.of(deq)
    gap = relative_distance(nsd.ck(deq, X), nsd.ck(found.centred, found.augmented(X)) + found.mean**2)
    assert 0.01 < gap.frobenius < 0.2


@pytest.mark.filterwarnings("ignore::notsodeep.errors.StabilityWarning")
def test_a_model_with_several_scales_is_refused():
    with pytest.raises(NotCoveredError, match=r"settles at tau_star = .*, its centred form at"):
        Reduction.of(SEVERAL)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_network_for_the_samples_is_the_one_for_augmented_samples(sign):
    found = Reduction.of(nsd.DEQ("relu", 0.5, 0.5, center=False, sigma_c2=0.2))
    spec = nsd.MLP((nsd.Layer("tanh", 1.3, 0.7), nsd.Layer("gelu", 0.9)))
    X, width = torch.from_numpy(directions(5)), 30
    there, here = (one.to_torch(p, width) for one, p in ((spec, 9), (found.back(spec, sign), 8)))
    with torch.no_grad():
        here.layers[0].copy_(there.layers[0][:, :8])
        here.biases["bias1"].copy_(there.layers[0][:, 8])
        here.layers[1].copy_(there.layers[1])
        want = there.features(torch.from_numpy(found.augmented(X.numpy()))) + sign * found.mean / width**0.5
        assert_close(here.features(X), want, FORWARD)
    assert [layer.learning_rate for layer in here.spec.layers] == [0.7, 1.0]


def test_of_several_branches_the_first_is_shifted():
    found = Reduction.of(MODELS[0])
    spec = nsd.Parallel((nsd.MLP(nsd.Layer("tanh")), nsd.MLP((nsd.Layer("tanh", 2.0), nsd.Layer("tanh")))))
    back, X = found.back(spec), directions(6)
    assert_close(nsd.ck(back, X), nsd.ck(spec, found.augmented(X)) + found.mean**2, KERNEL)  # odd: no cross terms
    assert [branch.layers[0].bias_var for branch in back.branches] == [found.constant**2, 2.0 * found.constant**2]


@pytest.mark.parametrize(
    ("deq", "scale", "bound"),
    [
        *((MODELS[i], "sample", REDUCED) for i in (3, 4, 6)),
        *((MODELS[i], "mean", REDUCED_AT_OTHER_NORMS) for i in (1, 4, 6)),
    ],
)
def test_the_network_has_the_kernel_on_digits(deq, scale, bound):
    X, _ = nsd.load_dataset("digits", n=80, scale=scale)
    X = deq.tau0 * X
    found = match_any(deq, X)
    want, got = nsd.ck(deq, X), nsd.ck(found.spec, X)
    assert_close(relative_distance(want, got).frobenius, found.distance, 1e-9)
    assert found.distance < bound
    centred = [K - K.mean(0) - K.mean(1)[:, None] + K.mean() for K in (want, got)]
    assert relative_distance(*centred).frobenius < bound


def test_the_sign_and_the_solution_are_those_closest_to_the_kernel():
    deq = MODELS[2]
    X, _ = nsd.load_dataset("digits", n=80)
    found, reduction = match_any(deq, X), Reduction.of(deq)
    want = nsd.ck(deq, X)
    others = [reduction.back(one.spec, sign) for one in found.match.solutions for sign in (1.0, -1.0)]
    distances = [relative_distance(want, nsd.ck(other, X)).frobenius for other in others]
    assert_close(found.distance, min(distances), 1e-9)
    assert max(distances) > 3.0 * min(distances)


def test_other_kernels_are_matched_too():
    deq = MODELS[0]
    X, _ = nsd.load_dataset("digits", n=60)
    ntk, both = match_any(deq, X, "ntk"), match_any(deq, X, "both")
    assert relative_distance(nsd.ntk(deq, X), nsd.ntk(ntk.spec, X)).frobenius == pytest.approx(ntk.distance)
    assert max(ntk.distance, both.distance) < REDUCED_AT_OTHER_NORMS
    assert isinstance(both.spec, nsd.Parallel)


def test_the_unit_of_the_samples_does_not_matter():
    X, _ = nsd.load_dataset("digits", n=100)
    one = match_any(nsd.DEQ("relu", 0.4, 0.5, center=False, sigma_c2=0.1), X)
    other = match_any(nsd.DEQ("relu", 0.4, 0.5 / 28**2, 28.0, center=False, sigma_c2=0.1), 28 * X)
    assert_close(nsd.ck(other.spec, 28 * X), nsd.ck(one.spec, X), 1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deq": "relu"}, "deq must be a DEQ"),
        ({"X": np.ones(3)}, "X must have shape"),
        ({"kernel": "rbf"}, "kernel must be one of"),
        ({"deq": nsd.DEQ("relu", sigma_a2=2.5, center=False)}, "no stable kernel fixed point"),
    ],
)
def test_wrong_arguments(change, message):
    given = {"deq": MODELS[0], "X": directions(10), "kernel": "ck"} | change
    with pytest.raises(ValueError, match=message):
        match_any(**given)


@pytest.mark.parametrize("deq", [nsd.DEQ("gelu", 1 / 3, 0.5, center=False, sigma_c2=0.01)], ids=repr)
def test_the_network_has_the_kernel_on_images_as_they_are(deq, data_dir):
    """Not centred: cosines of 0.1 to 0.8, with norms that differ by a third; of torch's usual initialisation."""
    data = nsd.load_dataset("mnist", n=300, data_dir=data_dir)
    X = data.X * data.scaler.scale + data.scaler.center
    X /= np.sqrt(np.mean((X**2).sum(axis=1)))
    found = match_any(deq, X)
    gap = relative_distance(nsd.ck(deq, X), nsd.ck(found.spec, X))
    assert gap.frobenius < REDUCED_AT_OTHER_NORMS


@pytest.mark.parametrize("shift", [1e-6, 1e-5, 1e-4, 3e-4, 1e-3])
def test_small_means_are_reduced_too(shift):
    """About where a mean is left out as rounding, the scales of both descriptions differ by it."""
    deq = nsd.DEQ(nsd.activation("tanh").shifted(shift), sigma_a2=0.2, sigma_b2=0.5, center=False)
    found = Reduction.of(deq)
    assert found.mean == pytest.approx(shift, rel=0.2, abs=4e-4)
