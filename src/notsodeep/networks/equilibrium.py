"""The equilibrium of a batch as a differentiable function of what is injected and of the recurrent weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch

from notsodeep.activations import Activation
from notsodeep.networks.blocks import activated
from notsodeep.networks.solvers import RowMap, SolveRecord, default_tolerance, fixed_point, require_convergence

GRADIENTS = ("implicit", "one_step", "unrolled")


@dataclass(frozen=True)
class Equations:
    """``z = phi(gain A z + injected) / sqrt(m)`` and the linear systems of its derivatives, with how to solve them."""

    activation: Activation
    gain: float
    width: int
    solver: str
    tol: float | None
    max_iter: int
    what: str
    """The network, in an error message"""
    cause: str
    """What to lower when it does not converge"""
    counted: list[int] = field(default_factory=list)
    """Iterations of each equilibrium that was solved for, the last one at the end"""

    def preactivation(self, Z: torch.Tensor, injected: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
        """Return ``gain A z + injected`` for states ``Z (n, m)``."""
        return torch.addmm(injected, Z, A.T, alpha=self.gain)

    def image(self, Z: torch.Tensor, injected: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
        """Return ``phi(gain A z + injected) / sqrt(m)``."""
        return self.activation(self.preactivation(Z, injected, A)) / math.sqrt(self.width)

    def slopes(self, Z: torch.Tensor, injected: torch.Tensor, A: torch.Tensor) -> torch.Tensor:
        """Return ``phi'(gain A z + injected) / sqrt(m)``."""
        return self.activation.derivative(self.preactivation(Z, injected, A)) / math.sqrt(self.width)

    def solve(
        self, injected: torch.Tensor, A: torch.Tensor, on_failure: str = "raise"
    ) -> tuple[torch.Tensor, SolveRecord]:
        """Iterate from ``z = 0``, whose image needs no matrix product, with states ``sqrt(m) z``."""
        rule = self.gain / math.sqrt(self.width)

        def image(Y: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return activated(self.activation, torch.addmm(rows, Y, A.T, alpha=rule))

        start = activated(self.activation, injected.detach().clone())
        states, record = self._iterate(RowMap(image, (injected,)), start)
        self.counted.append(record.iterations)
        if on_failure == "raise":
            require_convergence(record, f"the equilibrium of {self.what}", self.cause)
        return states / math.sqrt(self.width), record

    def solve_linear(self, right: torch.Tensor, slopes: torch.Tensor, M: torch.Tensor) -> torch.Tensor:
        """Solve ``v = right + gain slopes * (v M)`` for rows ``v``."""
        step = RowMap(lambda V, r, d: torch.addcmul(r, d, V @ M, value=self.gain), (right, slopes))
        V, record = self._iterate(step, right)
        require_convergence(record, f"the gradient through the equilibrium of {self.what}", self.cause)
        return V

    def pull_back(self, injected: torch.Tensor, A: torch.Tensor, Z: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to ``injected`` for that with respect to the equilibria ``Z``."""
        slopes = self.slopes(Z, injected, A)
        return _Linear.apply(slopes * grad, slopes, A, self)

    def _iterate(self, step: RowMap, start: torch.Tensor) -> tuple[torch.Tensor, SolveRecord]:
        tol = default_tolerance(start.dtype) if self.tol is None else self.tol
        return fixed_point(step, start, solver=self.solver, tol=tol, max_iter=self.max_iter)


@torch.compiler.disable  # its loop ends when the data say so: a compiler would build one graph an iteration
def equilibrium(equations: Equations, injected: torch.Tensor, A: torch.Tensor, gradient: str) -> torch.Tensor:
    """Return the equilibria ``(n, m)``, with the derivatives that ``gradient`` names (:data:`GRADIENTS`)."""
    if gradient == "implicit":
        return _Equilibrium.apply(injected, A, equations)
    Z = _Equilibrium.apply(injected.detach(), A.detach(), equations)
    if gradient == "one_step":
        return equations.image(Z, injected, A)
    for _ in range(equations.counted[-1]):  # from the solution: what any solver found stays what it is
        Z = equations.image(Z, injected, A)
    return Z


def _in_own_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Leave autocast out of a derivative: autograd runs it where it finds itself."""

    @wraps(method)
    def wrapped(ctx: Any, *tangents: Any) -> Any:
        with torch.autocast(ctx.saved_tensors[0].device.type, enabled=False):
            return method(ctx, *tangents)

    return wrapped


class _Equilibrium(torch.autograd.Function):
    """``z`` of :class:`Equations` as a function of ``injected`` and ``A``."""

    @staticmethod
    def forward(injected: torch.Tensor, A: torch.Tensor, equations: Equations) -> torch.Tensor:
        return equations.solve(injected, A)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        injected, A, ctx.equations = inputs
        ctx.save_for_backward(injected, A, output)
        ctx.save_for_forward(injected, A, output)

    @staticmethod
    @_in_own_precision
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        injected, A, Z = ctx.saved_tensors
        V = ctx.equations.pull_back(injected, A, Z, grad)
        return V, ctx.equations.gain * V.mT @ Z if ctx.needs_input_grad[1] else None, None

    @staticmethod
    @_in_own_precision
    def jvp(ctx: Any, injected_t: torch.Tensor | None, A_t: torch.Tensor | None, _: None) -> torch.Tensor:
        injected, A, Z = ctx.saved_tensors
        push = torch.zeros_like(Z) if injected_t is None else injected_t
        push = push if A_t is None else push + ctx.equations.gain * Z @ A_t.mT
        slopes = ctx.equations.slopes(Z, injected, A)
        return _Linear.apply(slopes * push, slopes, A.T, ctx.equations)

    @staticmethod
    def vmap(info: Any, in_dims: Any, injected: torch.Tensor, A: torch.Tensor, equations: Equations) -> Any:
        return _batched(_Equilibrium.apply, info.batch_size, in_dims, (injected,), A, equations)


class _Linear(torch.autograd.Function):
    """``v = right + gain slopes * (v M)``, whose derivatives solve systems of the same form."""

    @staticmethod
    def forward(right: torch.Tensor, slopes: torch.Tensor, M: torch.Tensor, equations: Equations) -> torch.Tensor:
        return equations.solve_linear(right, slopes, M)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _, slopes, M, ctx.equations = inputs
        ctx.save_for_backward(slopes, M, output)
        ctx.save_for_forward(slopes, M, output)

    @staticmethod
    @_in_own_precision
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slopes, M, V = ctx.saved_tensors
        gain = ctx.equations.gain
        scaled = _Linear.apply(slopes * grad, slopes, M.T, ctx.equations)
        right = grad + gain * scaled @ M.mT
        return right, gain * right * (V @ M), gain * V.mT @ scaled, None

    @staticmethod
    @_in_own_precision
    def jvp(ctx: Any, right_t: Any, slopes_t: Any, M_t: Any, _: None) -> torch.Tensor:
        slopes, M, V = ctx.saved_tensors
        gain = ctx.equations.gain
        right = torch.zeros_like(V) if right_t is None else right_t
        right = right if slopes_t is None else right + gain * slopes_t * (V @ M)
        right = right if M_t is None else right + gain * slopes * (V @ M_t)
        return _Linear.apply(right, slopes, M, ctx.equations)

    @staticmethod
    def vmap(info: Any, in_dims: Any, right: Any, slopes: Any, M: torch.Tensor, equations: Equations) -> Any:
        return _batched(_Linear.apply, info.batch_size, in_dims, (right, slopes), M, equations)


def _batched(
    solve: Callable[..., torch.Tensor],
    size: int,
    in_dims: tuple[int | None, ...],
    rows: tuple[torch.Tensor, ...],
    matrix: torch.Tensor,
    equations: Equations,
) -> tuple[torch.Tensor, int]:
    """Solve for a further dimension: as more rows where all share the matrix, else one matrix after the other."""
    *row_dims, matrix_dim, _ = in_dims
    stacked = [_leading(each, dim, size) for each, dim in zip(rows, row_dims, strict=True)]
    if matrix_dim is None:
        flat = solve(*(each.flatten(0, 1) for each in stacked), matrix, equations)
        return flat.unflatten(0, (size, -1)), 0
    matrices = matrix.movedim(matrix_dim, 0)
    return torch.stack([solve(*(each[i] for each in stacked), matrices[i], equations) for i in range(size)]), 0


def _leading(x: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
