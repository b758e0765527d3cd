"""The kernels that are studied: their names, the exact ones of a model, and the networks matched to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from notsodeep.checks import FloatArray
from notsodeep.kernels import ck, ntk
from notsodeep.matching import Match, match
from notsodeep.spec import DEQ, Spec

CK, NTK, PAPERS_NTK = "CK", "NTK", "NTK {A, w}"


class Kernel(NamedTuple):
    """Which kernel, and the weights of a DEQ that it trains."""

    name: str
    """``"ck"`` or ``"ntk"``"""
    trainable: str | tuple[str, ...]


KERNELS: Mapping[str, Kernel] = {
    CK: Kernel("ck", "all"),
    NTK: Kernel("ntk", "all"),
    PAPERS_NTK: Kernel("ntk", ("recurrent", "readout")),
}
"""By the name in tables; arXiv:2402.02697 trains A and w"""


def exact_kernel(
    spec: Spec,
    kernel: str,
    X: FloatArray,
    Y: FloatArray | None = None,
    trainable: str | frozenset[str] | None = None,
) -> FloatArray:
    """Return the kernel of infinitely wide networks by its name (:data:`KERNELS`), of X with itself or with Y.

    ``trainable`` are the weights that the NTK of a matched network trains: they have names of their own.
    """
    name, weights = KERNELS[kernel]
    found: FloatArray = ck(spec, X, Y) if name == "ck" else ntk(spec, X, Y, weights if trainable is None else trainable)
    return found


@cache
def matched(deq: DEQ, kernel: str) -> Match:
    """Return the network that is matched to one kernel of a DEQ (:data:`KERNELS`), whatever the samples."""
    name, trainable = KERNELS[kernel]
    return match(deq, name, trainable=trainable)
