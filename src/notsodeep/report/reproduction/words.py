"""What reports of studies share in words: names of data sets and activations, means with errors, enumerations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from notsodeep.experiments.reproduction.rows import Mean
from notsodeep.experiments.samples import MIXTURE
from notsodeep.report.numerals import decimal

_DATA = {
    MIXTURE: "mixture",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_features": "CIFAR-10 features",
}
_ACTIVATIONS = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "silu": "SiLU", "gelu": "GELU"}


def data_words(name: object) -> str:
    """Return the name of a data set as people write it.

    Examples
    --------
    >>> data_words("mnist"), data_words("digits")
    ('MNIST', 'digits')
    """
    return _DATA.get(str(name), str(name))


def phi_words(name: object) -> str:
    """Return the name of an activation as people write it.

    Examples
    --------
    >>> phi_words("relu"), phi_words("tanh")
    ('ReLU', 'tanh')
    """
    return _ACTIVATIONS.get(str(name), str(name))


def percent_words(value: Mean, digits: int = 3) -> str:
    """Return a mean in percent with its standard error, if there is one.

    Examples
    --------
    >>> percent_words(Mean(0.02052, 0.0002, 5)), percent_words(Mean(0.02052, float("nan"), 1))
    ('2.05 ± 0.02 %', '2.05 %')
    """
    error = "" if math.isnan(value.error) else f" ± {decimal(100.0 * value.error, 1)}"
    return f"{decimal(100.0 * value.value, digits)}{error} %"


def mean_words(value: Mean, places: int = 2) -> str:
    """Return a mean to so many places with its standard error, if there is one.

    Examples
    --------
    >>> mean_words(Mean(92.974, 0.021, 3)), mean_words(Mean(0.73142, float("nan"), 1), 3)
    ('92.97 ± 0.02', '0.731')
    """
    return f"{value.value:.{places}f}" + ("" if math.isnan(value.error) else f" ± {value.error:.{places}f}")


def span_words(values: Sequence[float], words: Callable[[float], str]) -> str:
    """Return the smallest and the largest value, once where they read alike.

    Examples
    --------
    >>> span_words([0.5, 0.1], str), span_words([0.5], str)
    ('0.1 to 0.5', '0.5')
    """
    low, high = words(min(values)), words(max(values))
    return low if low == high else f"{low} to {high}"


def listed(parts: Sequence[str]) -> str:
    """Return an enumeration.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
