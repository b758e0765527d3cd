"""Finite deep equilibrium network: forward by plain iteration, gradients by implicit differentiation."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch.autograd.function import once_differentiable

from notsodeep.checks import choice, integer, number
from notsodeep.kernels.scalar import rest_point
from notsodeep.networks.base import FiniteNetwork, NormalWeights
from notsodeep.networks.fixed_point import SolveRecord, default_tolerance, iterate, require_convergence
from notsodeep.spec import DEQ


@final
class DEQNetwork(FiniteNetwork):
    """Finite network of a DEQ spec: ``z = phi(sigma_a A z + sigma_b B x + sigma_c c) / sqrt(m)``, then ``readout``.

    ``A (m, m)``, ``B (m, p)``, ``readout.weight (out_features, m)`` and the bias ``c (m)`` start as iid N(0, 1)
    (NTK parametrisation); without a bias in the spec, ``c`` is None. ``phi`` is the spec's activation, centred as
    the spec's kernel has it.

    Parameters
    ----------
    spec : DEQ
        The model.
    in_features, width, out_features : int
        Numbers ``p`` of inputs, ``m`` of hidden units, and of outputs.
    seed : int
        Same seed, same weights, on any device and in either precision.
    dtype : torch.dtype
        ``torch.float64`` or ``torch.float32``.
    tol : float, optional
        Relative step ``|z_new - z| / |z_new|`` at which a sample has converged; 100 times the
        machine epsilon of the network's dtype when not given. It holds for the gradient's iteration too.
    max_iter : int
        Most iterations, one matrix product each.

    Raises
    ------
    ValueError
        When an argument is illegal, or the spec has no stable kernel fixed point.

    Notes
    -----
    Source: arXiv:2402.02697, equations (1)-(3). With ``d = phi'(u) / sqrt(m)`` at the pre-activations ``u`` of
    the equilibrium, the gradient ``v`` with respect to ``u`` solves ``v = d * (g + sigma_a A^T v)`` for the
    gradient ``g`` with respect to ``z``; then ``A`` gets ``sigma_a v z^T``, ``B`` gets ``sigma_b v x^T`` and ``c`` gets
    ``sigma_c v``.
    Gradients cannot be differentiated again.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import DEQNetwork
    >>> from notsodeep.spec import DEQ
    >>> net = DEQNetwork(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), in_features=3, width=64, seed=0)
    >>> Z, record = net.solve(torch.eye(3))
    >>> Z.shape, record.converged
    (torch.Size([3, 64]), True)
    """

    c: torch.nn.Parameter | None

    def __init__(
        self,
        spec: DEQ,
        in_features: int,
        width: int,
        out_features: int = 1,
        *,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        tol: float | None = None,
        max_iter: int = 1000,
    ) -> None:
        if not isinstance(spec, DEQ):
            raise ValueError(f"spec must be a DEQ, got {spec!r}")
        super().__init__(in_features, width, out_features)
        self.spec = spec
        self.tol = None if tol is None else number("tol", tol, low=0.0, strict=True)
        self.max_iter = integer("max_iter", max_iter, low=1)
        self.activation = rest_point(spec).activation
        normal = NormalWeights(seed, dtype)
        self.A = normal(self.width, self.width)
        self.B = normal(self.width, self.in_features)
        self.readout = normal.linear_head(self.width, self.out_features)
        self.register_parameter("c", normal(self.width) if spec.sigma_c2 > 0 else None)

    def features(self, X: Any) -> torch.Tensor:
        """Return the equilibria ``z (n, width)`` of the samples ``X (n, in_features)``, differentiable.

        Parameters
        ----------
        X : torch.Tensor or array_like
            Samples as rows. Arrays are converted to tensors.

        Raises
        ------
        ValueError
            When ``X`` has another shape or is not finite.
        ConvergenceError
            When a sample does not reach its equilibrium; from ``backward``, when its gradient is not reached.
        """
        return _Equilibrium.apply(self._injected(X), self.A, self)

    def solve(self, X: Any, *, on_failure: str = "raise") -> tuple[torch.Tensor, SolveRecord]:
        """Return the equilibria ``(n, width)``, without gradient, and the record of the iteration.

        Parameters
        ----------
        X : torch.Tensor or array_like
            Samples ``(n, in_features)``.
        on_failure : {"raise", "return"}
            With ``"return"``, samples that did not converge come back as the last iterates, and the record says so.

        Raises
        ------
        ValueError
            When ``X`` or ``on_failure`` is illegal.
        ConvergenceError
            When a sample does not reach its equilibrium, unless ``on_failure="return"``.
        """
        choice("on_failure", on_failure, ("raise", "return"))
        with torch.no_grad():
            Z, record = self._equilibrium(self._injected(X), self.A)
        if on_failure == "raise":
            self._require(record, "the equilibrium", len(Z))
        return Z, record

    @property
    def options(self) -> dict[str, Any]:
        """Settings of the iteration, as the constructor takes them."""
        return {"tol": self.tol, "max_iter": self.max_iter}

    def _injected(self, X: Any) -> torch.Tensor:
        inputs = math.sqrt(self.spec.sigma_b2) * self._batch(X) @ self.B.T
        return inputs if self.c is None else inputs + math.sqrt(self.spec.sigma_c2) * self.c

    def _preactivation(self, Z: torch.Tensor, injected: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
        return torch.addmm(injected, Z, A.T, alpha=math.sqrt(self.spec.sigma_a2))

    def _equilibrium(self, injected: torch.Tensor, A: torch.Tensor) -> tuple[torch.Tensor, SolveRecord]:
        """Iterate from ``z = 0``, whose image needs no matrix product."""
        scale = 1.0 / math.sqrt(self.width)
        return self._iterate(
            lambda Z: scale * self.activation(self._preactivation(Z, injected, A)),
            scale * self.activation(injected.detach()),
        )

    def _adjoint(
        self, grad: torch.Tensor, Z: torch.Tensor, injected: torch.Tensor, A: torch.Tensor
    ) -> tuple[torch.Tensor, SolveRecord]:
        """Solve ``v = d * (grad + sigma_a A^T v)``, the gradient with respect to the pre-activations."""
        slope = self.activation.derivative(self._preactivation(Z, injected, A)) / math.sqrt(self.width)
        return self._iterate(lambda V: slope * self._preactivation(V, grad, A.T), slope * grad)

    def _iterate(self, step: Any, start: torch.Tensor) -> tuple[torch.Tensor, SolveRecord]:
        tol = default_tolerance(start.dtype) if self.tol is None else self.tol
        return iterate(step, start, tol=tol, max_iter=self.max_iter)

    def _require(self, record: SolveRecord, what: str, n: int) -> None:
        cause = f"sigma_a2 (now {self.spec.sigma_a2:g})"
        require_convergence(record, f"{what} of {self.spec!r} at width {self.width}", n, cause)


class _Equilibrium(torch.autograd.Function):
    """The equilibrium as a function of what is injected (``sigma_b B x + sigma_c c``) and of ``A``."""

    @staticmethod
    def forward(ctx: Any, injected: torch.Tensor, A: torch.Tensor, net: DEQNetwork) -> torch.Tensor:
        Z, record = net._equilibrium(injected, A)
        net._require(record, "the equilibrium", len(Z))
        ctx.net = net
        ctx.save_for_backward(injected, A, Z)
        return Z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        injected, A, Z = ctx.saved_tensors
        V, record = ctx.net._adjoint(grad, Z, injected, A)
        ctx.net._require(record, "the gradient through the equilibrium", len(Z))
        to_A = math.sqrt(ctx.net.spec.sigma_a2) * V.T @ Z if ctx.needs_input_grad[1] else None
        return V, to_A, None
