"""What the weights of a finite network take: in memory, in a file, and at least."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import torch

from notsodeep.networks.base import FiniteNetwork
from notsodeep.networks.codes import BITS, ternary_scale


@dataclass(frozen=True)
class Bits:
    """Number of some weights, and bits for all of them."""

    weights: int
    """How many weights"""
    floats: int
    """As the network holds them: 32 or 64 bits a weight"""
    codes: int
    """As they are saved: 2 bits a weight and one scale for a ternary matrix, else floats"""
    entropy: float
    """Least of a code of independent weights: the entropy of -, 0, + and one scale for a ternary matrix, else floats"""


@dataclass(frozen=True)
class Memory:
    """Bits of the parts of a network."""

    hidden: Bits
    """Weight matrices of the hidden layers"""
    biases: Bits
    readout: Bits

    @property
    def total(self) -> Bits:
        """Sum of the parts."""
        return _sum((self.hidden, self.biases, self.readout))


def memory_bits(net: FiniteNetwork) -> Memory:
    """Return the bits that the weights of ``net`` take, as they are now.

    A matrix counts as ternary if its entries are, whatever the network was drawn as: weights that were trained are not.

    Parameters
    ----------
    net : DEQNetwork, ExplicitNetwork or ParallelNetwork
        The network.

    Raises
    ------
    ValueError
        When ``net`` is no network of this package.

    Notes
    -----
    With a share ``s`` of zeros and as many plus as minus signs, the entropy of a weight is
    ``H(s) = -s log2(s) - (1 - s) log2((1 - s) / 2)`` bits: 0.57 for ``s = 0.9``, against 2 as written and 32 in
    single precision. Networks multiply by floats: codes are what a file needs, not what a running network holds.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.networks import memory_bits
    >>> spec = nsd.MLP((nsd.Layer("tanh"),))
    >>> memory_bits(spec.to_torch(in_features=500, width=1000, weights="ternary")).hidden
    Bits(weights=500000, floats=32000000, codes=1000064, entropy=28...)
    """
    if not isinstance(net, FiniteNetwork):
        raise ValueError(f"net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got {type(net).__name__}")
    readout = {id(weight) for weight in net.readout.parameters()}
    inner = [weight.detach() for weight in net.parameters() if id(weight) not in readout]
    return Memory(
        hidden=_sum(_of(weight) for weight in inner if weight.ndim == 2),
        biases=_sum(_of(weight) for weight in inner if weight.ndim != 2),
        readout=_sum(_of(weight.detach()) for weight in net.readout.parameters()),
    )


def _of(weight: torch.Tensor) -> Bits:
    number, precision = weight.numel(), 8 * weight.element_size()
    floats = number * precision
    if ternary_scale(weight) is None:
        return Bits(number, floats, floats, float(floats))
    counts = [int((weight.sign() == sign).sum()) for sign in (-1, 0, 1)]
    entropy = sum(count * math.log2(number / count) for count in counts if count)
    whole_bytes = 8 * math.ceil(number * BITS / 8)
    return Bits(number, floats, whole_bytes + precision, entropy + precision)


def _sum(parts: Iterable[Bits]) -> Bits:
    rows = [astuple(part) for part in parts]
    weights, floats, codes, entropy = (sum(column) for column in zip(*rows, strict=True)) if rows else (0, 0, 0, 0.0)
    return Bits(weights, floats, codes, entropy)
