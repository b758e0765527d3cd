"""Results of the main job on tiny data, made once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.samples import load_samples
from notsodeep.experiments.twin import TwinConfig, run_twin


def twin(deq, data="digits", n=120, scale="mean", **config):
    samples = load_samples(data, n=n, n_test=60, seed=1, scale=scale)
    return run_twin(TwinConfig(deq, width=32, seed=3, **config), samples)


@pytest.fixture(scope="session")
def relu():
    """Matched by two leaky ReLU layers."""
    return twin(nsd.DEQ("relu"))


@pytest.fixture(scope="session")
def softplus():
    """Not matched by a family whose slopes jump; ternary weights."""
    return twin(nsd.DEQ("softplus"), family="three_slope", weights="ternary", sparsity=0.75)


@pytest.fixture(scope="session")
def both():
    """Both kernels, by two branches with learning rates."""
    return twin(nsd.DEQ("relu"), kernel="both")


@pytest.fixture(scope="session")
def sphere():
    """One Hermite layer on samples of equal norm, for which one number is idle."""
    return twin(nsd.DEQ("gelu"), scale="sample", kernel="ntk", family="hermite", error=0.05)


@pytest.fixture(scope="session")
def gelu():
    """Matched by several networks of soft slopes."""
    return twin(nsd.DEQ("gelu"), kernel="ntk")


@pytest.fixture(scope="session")
def tanh_ntk():
    """NTK of all weights; numbers of an odd activation vanish."""
    return twin(nsd.DEQ("tanh"), kernel="ntk")


@pytest.fixture(scope="session")
def mixture():
    """Samples that were never scaled: they have no scaler."""
    return twin(nsd.DEQ("tanh"), data="gmm", n=160)


@pytest.fixture(scope="session")
def own():
    """An activation that is code."""
    return twin(nsd.DEQ(nsd.Activation(np.arctan)))


@pytest.fixture(scope="session")
def marginal():
    """Stable, but without global contraction: made under a warning."""
    with pytest.warns(UserWarning, match="need not contract everywhere"):
        return twin(nsd.DEQ("selu", sigma_a2=0.35))


@pytest.fixture(params=["relu", "softplus", "both", "sphere", "gelu", "tanh_ntk", "mixture", "own", "marginal"])
def any_twin(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["relu", "softplus", "both", "mixture"])
def some_twin(request):
    """For what takes pictures, which are slow."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def hostile(relu):
    """Names that would break a page, a formula or a layout if they were taken as they are."""
    samples = relu.samples
    names = dict(enumerate(["<b>bold</b>", "a & b", '"quoted"', "$x^$", *"efghij"]))

    def renamed(data):
        y = np.array([names[label] for label in data.y])
        return replace(data, y=y, name="$^$ <script>alert(1)</script> " + 80 * "long", classes=tuple(names.values()))

    return replace(relu, samples=samples._replace(train=renamed(samples.train), test=renamed(samples.test)))
