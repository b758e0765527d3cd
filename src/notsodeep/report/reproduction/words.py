"""What data sets and activations are called in reports of studies."""

from __future__ import annotations

from notsodeep.experiments.samples import MIXTURE

_DATA = {
    MIXTURE: "Gaussian mixture",
    "digits": "digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_features": "CIFAR-10 features",
}
_ACTIVATIONS = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "silu": "SiLU", "gelu": "GELU"}


def data_words(name: str) -> str:
    """Return the name of a data set as people write it."""
    return _DATA.get(name, name)


def phi_words(name: str) -> str:
    """Return the name of an activation as people write it.

    Examples
    --------
    >>> phi_words("relu"), phi_words("tanh")
    ('ReLU', 'tanh')
    """
    return _ACTIVATIONS.get(name, name)
