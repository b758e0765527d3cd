"""Finite network of parallel branches."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch

from notsodeep.checks import integer
from notsodeep.networks.base import FiniteNetwork, NormalWeights
from notsodeep.networks.explicit import ExplicitNetwork
from notsodeep.networks.weight import Factor, Weight
from notsodeep.spec import MLP, Parallel


@final
class ParallelNetwork(FiniteNetwork):
    """Finite network of parallel branches: their features one after the other, then one linear ``readout``.

    Parameters
    ----------
    spec : Parallel
        The model.
    in_features, width, out_features : int
        Numbers of inputs, of features of all branches together, and of outputs. The branches share the features out
        as evenly as possible, the first ones getting one more; the hidden layers of a branch are as wide as its share.
    seed : int
        Same seed, same weights, on any device and in either precision; every branch draws weights of its own.
    dtype : torch.dtype
        ``torch.float64`` or ``torch.float32``.
    **options
        Of every branch, as :class:`ExplicitNetwork` takes them (``weights``, ``sparsity``).

    Raises
    ------
    ValueError
        When an argument is illegal, or ``width`` is less than one feature a branch.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import ParallelNetwork
    >>> from notsodeep.spec import MLP, Layer, Parallel
    >>> spec = Parallel((MLP(Layer("tanh")), MLP((Layer("relu"), Layer("relu")))))
    >>> net = ParallelNetwork(spec, in_features=3, width=65, out_features=10)
    >>> net.features(torch.eye(3)).shape, [branch.width for branch in net.branches]
    (torch.Size([3, 65]), [33, 32])
    """

    spec: Parallel

    def __init__(
        self,
        spec: Parallel,
        in_features: int,
        width: int,
        out_features: int = 1,
        *,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        **options: Any,
    ) -> None:
        if not isinstance(spec, Parallel):
            raise ValueError(f"spec must be a Parallel, got {spec!r}")
        super().__init__(in_features, width, out_features)
        count = len(spec.branches)
        if self.width < count:
            raise ValueError(f"width must be at least {count}, one feature for each branch, got {self.width}")
        self.spec = spec
        self.readout = NormalWeights(seed, dtype).linear_head(self.width, self.out_features)
        seeds = np.random.SeedSequence(integer("seed", seed, low=0)).generate_state(count)
        self.branches = torch.nn.ModuleList(
            _headless(mlp, self.in_features, share, seed=int(own), dtype=dtype, **options)
            for mlp, share, own in zip(spec.branches, _shares(self.width, count), seeds, strict=True)
        )

    def features(self, X: Any) -> torch.Tensor:
        """Return the features ``(n, width)`` of the samples ``X (n, in_features)``, those of the first branch first.

        Raises
        ------
        ValueError
            When ``X`` has another shape or is not finite.
        """
        batch = self._batch(X)
        return torch.cat([branch.features(batch) for branch in self._networks], dim=1)

    @property
    def hidden_weights(self) -> dict[str, Weight]:
        """``branch1.layer1``, ``branch1.layer2``, ..., ``branch2.layer1``, ...."""
        return {
            f"branch{number}.{name}": weight
            for number, branch in enumerate(self._networks, 1)
            for name, weight in branch.hidden_weights.items()
        }

    def hidden_factors(self, batch: torch.Tensor, cotangent: torch.Tensor) -> tuple[torch.Tensor, dict[str, Factor]]:
        """Return the features of a batch and the gradients of ``features . cotangent``, branch by branch."""
        shares = cotangent.split([branch.width for branch in self._networks])
        parts = [branch.hidden_factors(batch, share) for branch, share in zip(self._networks, shares, strict=True)]
        factors = {
            f"branch{number}.{name}": factor for number, (_, own) in enumerate(parts, 1) for name, factor in own.items()
        }
        return torch.cat([features for features, _ in parts], dim=1), factors

    @property
    def options(self) -> dict[str, Any]:
        """Those of the branches, which are the same."""
        return self._networks[0].options

    @property
    def _networks(self) -> list[ExplicitNetwork]:
        return list(self.branches)  # type: ignore[arg-type]  # a ModuleList does not tell of what


def _headless(mlp: MLP, in_features: int, width: int, **options: Any) -> ExplicitNetwork:
    """Return a network whose output are its features."""
    net = ExplicitNetwork(mlp, in_features, width, **options)
    net.readout = torch.nn.Identity()  # type: ignore[assignment]
    return net


def _shares(width: int, count: int) -> list[int]:
    least, more = divmod(width, count)
    return [least + (branch < more) for branch in range(count)]
