"""What finite networks share: seeded weights, checked batches, and a linear head on top of features."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri

from notsodeep.checks import integer


class FiniteNetwork(torch.nn.Module, ABC):
    """Network of finite width: hidden features ``(n, width)`` and a linear ``readout`` on top of them."""

    readout: torch.nn.Linear

    def __init__(self, in_features: int, width: int, out_features: int) -> None:
        super().__init__()
        self.in_features = integer("in_features", in_features, low=1)
        self.width = integer("width", width, low=1)
        self.out_features = integer("out_features", out_features, low=1)

    @abstractmethod
    def features(self, X: Any) -> torch.Tensor:
        """Return the hidden representation ``(n, width)`` of the samples ``X (n, in_features)``."""

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the constructor that neither the spec, the sizes nor the weights tell."""

    def forward(self, X: Any) -> torch.Tensor:
        """Return ``features(X) @ readout.weight.T``, of shape ``(n, out_features)``."""
        return self.readout(self.features(X))

    def extra_repr(self) -> str:
        """Return what ``repr`` shows beside the readout."""
        return f"in_features={self.in_features}, width={self.width}, out_features={self.out_features}"

    def _batch(self, X: Any) -> torch.Tensor:
        return as_batch(X, self.in_features, next(self.parameters()))


class NormalWeights:
    """Draw parameters from iid N(0, 1) numbers: one seed, one sequence of weights.

    The entries are drawn on the CPU in float64 and rounded to ``dtype``, so that neither the device that
    the network moves to nor its precision changes which network a seed means.
    """

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype!r}")
        self._dtype = dtype
        self._generator = torch.Generator("cpu").manual_seed(integer("seed", seed, low=0))

    def __call__(self, *shape: int) -> torch.nn.Parameter:
        """Return the next parameter of this shape."""
        return torch.nn.Parameter(self._next(shape).to(self._dtype))

    def ternary(self, sparsity: float, *shape: int) -> torch.nn.Parameter:
        """Return the next parameter with the numbers of small size at 0, the others at ``±1/sqrt(1 - sparsity)``.

        The bound between small and large is the quantile that makes a number small with probability ``sparsity``.
        """
        drawn = self._next(shape)
        large = drawn.abs() > -float(ndtri(0.5 * (1.0 - sparsity)))
        signs = torch.where(large, drawn.sign(), 0.0)
        return torch.nn.Parameter((signs / math.sqrt(1.0 - sparsity)).to(self._dtype))

    def _next(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(*shape, generator=self._generator, dtype=torch.float64, device="cpu")

    def linear_head(self, width: int, out_features: int) -> torch.nn.Linear:
        """Return a linear layer without bias whose weights are the next ``(out_features, width)`` entries."""
        head = torch.nn.Linear(width, out_features, bias=False, device="meta")  # draws nothing by itself
        head.weight = self(out_features, width)
        return head


def as_batch(X: Any, in_features: int, like: torch.Tensor) -> torch.Tensor:
    """Return ``X`` as a tensor of samples ``(n, in_features)`` of the dtype of ``like``.

    NumPy arrays are copied to the device of ``like``; tensors have to be there already and stay in the graph.

    Raises
    ------
    ValueError
        When ``X`` has another shape, is empty, not real, not finite, or on another device.
    """
    if not isinstance(X, torch.Tensor):
        X = torch.from_numpy(_real_array(X)).to(like.device)
    if X.is_complex():
        raise ValueError(f"X must be real numbers, got dtype {X.dtype}")
    if X.ndim != 2 or X.shape[0] < 1 or X.shape[1] != in_features:
        raise ValueError(f"X must have shape (n, {in_features}) with n >= 1, got {tuple(X.shape)}")
    if X.device != like.device:
        raise ValueError(f"X must be on the device of the network, {like.device}, got {X.device}")
    finite = torch.isfinite(X).all(dim=1)
    if not finite.all():
        bad = torch.nonzero(~finite)
        raise ValueError(f"X has NaN or infinite values ({len(bad)} samples, the first is row {int(bad[0])})")
    return X.to(like.dtype)


def _real_array(X: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = np.asarray(X)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"X must be real numbers, got dtype {array.dtype}")
    return np.array(array, dtype=np.float64)
