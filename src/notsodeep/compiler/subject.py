"""The DEQ that is compiled, as a network of this package, and the model that its weights suggest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from notsodeep.compiler.layer import ImplicitLayer
from notsodeep.compiler.stability import stable
from notsodeep.networks import DEQNetwork
from notsodeep.networks.base import FiniteNetwork
from notsodeep.spec import DEQ

_PROBED = 512  # samples, at most, that tell whether plain iteration gets there
_FEW_ITERATIONS = 300


@dataclass(frozen=True)
class Subject:
    """A DEQ with weights of its own."""

    net: DEQNetwork
    estimate: DEQ
    """With the mean squares of its weights and its own activation as it is, at the scale of the samples"""
    spec: DEQ
    """That, or the nearest one with a stable kernel at the samples"""
    has_readout: bool

    @classmethod
    def of(cls, deq: Any, X: torch.Tensor) -> Subject:
        """Return what ``deq`` is: a network of this package, an :class:`ImplicitLayer`, or a module that has one.

        ``X`` are samples in float64 on the CPU.

        Raises
        ------
        ValueError
            When it is none of these, is of another form, or does not fit the samples.
        """
        squares = X.square().sum(dim=1).numpy()
        tau0 = math.sqrt(float(squares.mean()))
        if isinstance(deq, DEQNetwork):
            _check_inputs(deq.in_features, X)
            found = estimated(deq, tau0)
            return cls(deq, found, stable(found, squares), has_readout=True)
        if isinstance(deq, FiniteNetwork):
            raise ValueError(f"deq must be a DEQ, got a network that is explicit already: {type(deq).__name__}")
        if isinstance(deq, torch.nn.Module):
            deq = ImplicitLayer.from_module(deq, X)
        if not isinstance(deq, ImplicitLayer):
            raise ValueError(f"deq must be a DEQNetwork, an ImplicitLayer or a torch module, got {type(deq).__name__}")
        _check_inputs(deq.in_features, X)
        deq.check(X)
        found = deq.spec(tau0)
        return cls(_network(deq, tau0, X), found, stable(found, squares), has_readout=deq.readout is not None)

    @property
    def like(self) -> torch.Tensor:
        """A tensor of the network's precision and device."""
        return self.net.A.detach()

    def own_outputs(self, states: torch.Tensor) -> torch.Tensor | None:
        """Return what the DEQ itself makes of its states; None without a readout."""
        with torch.no_grad():
            return self.net.readout(states.to(self.like)) if self.has_readout else None


def estimated(net: DEQNetwork, tau0: float) -> DEQ:
    """Return the model whose variances are the mean squares of the weights of ``net``, its activation final.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> from notsodeep.compiler.subject import estimated
    >>> net = nsd.DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8).to_torch(in_features=50, width=400)
    >>> round(estimated(net, 1.0).sigma_a2, 2)
    0.2
    """
    spec = net.spec

    def square(weights: torch.Tensor) -> float:
        return float(weights.detach().double().square().mean())

    return DEQ(
        net.activation,
        sigma_a2=spec.sigma_a2 * square(net.A),
        sigma_b2=spec.sigma_b2 * square(net.B),
        tau0=tau0,
        center=False,
        sigma_c2=0.0 if net.c is None else spec.sigma_c2 * square(net.c),
    )


def _network(layer: ImplicitLayer, tau0: float, X: torch.Tensor) -> DEQNetwork:
    """Return the network with the solver that needs to be: plain iteration, unless it leaves samples behind."""
    plain = layer.to_network(tau0, max_iter=_FEW_ITERATIONS)
    _, record = plain.solve(X[:: -(-len(X) // _PROBED)].to(plain.A), on_failure="return")
    return layer.to_network(tau0, solver="plain" if record.converged else "anderson")


def _check_inputs(p: int, X: torch.Tensor) -> None:
    if X.shape[1] != p:
        raise ValueError(f"X must have {p} features, as many as deq has inputs, got {X.shape[1]}")
