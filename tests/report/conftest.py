"""Results of the main job on tiny data, made once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.experiments.samples import load_samples
from notsodeep.experiments.twin import TwinConfig, run_twin


def twin(deq, data="digits", n=120, **config):
    samples = load_samples(data, n=n, n_test=60, seed=1)
    return run_twin(TwinConfig(deq, width=32, seed=3, **config), samples)


@pytest.fixture(scope="session")
def relu():
    """Matched by two leaky ReLU layers."""
    return twin(nsd.DEQ("relu"))


@pytest.fixture(scope="session")
def silu():
    """Not matched by any family."""
    return twin(nsd.DEQ("silu"))


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


@pytest.fixture(params=["relu", "silu", "tanh_ntk", "mixture", "own", "marginal"])
def any_twin(request):
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
