"""Finite deep equilibrium network: the forward pass by a fixed-point solver, gradients by implicit differentiation."""

from __future__ import annotations

import math
from typing import Any, final

import torch

from notsodeep.checks import choice, integer, number
from notsodeep.kernels.scalar import rest_point
from notsodeep.networks.base import FiniteNetwork, NormalWeights
from notsodeep.networks.equilibrium import GRADIENTS, Equations, equilibrium
from notsodeep.networks.solvers import SOLVERS, SolveRecord
from notsodeep.networks.weight import Factor, Weight
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
        Relative step ``|f(z) - z| / |f(z)|`` at which a sample has converged; 100 times the
        machine epsilon of the network's dtype when not given. It holds for the gradient's iteration too.
    max_iter : int
        Most iterations, one matrix product each.
    solver : {"plain", "anderson", "broyden"}
        ``plain`` iterates ``z <- f(z)``, the cheapest way where the model contracts well; ``anderson`` and ``broyden``
        need fewer products near instability, and more time and memory for each. It solves for the gradient too.
    gradient : {"implicit", "one_step", "unrolled"}
        ``implicit``: exact, one more linear system to solve. ``one_step``: the gradient of the last application of the
        layer alone, biased by a share of about ``sigma_a2 E[phi'^2]`` and more. ``unrolled``: through as many
        applications of the layer, from the solution on, as the solution took, all held in memory; nearly exact.

    Raises
    ------
    ValueError
        When an argument is illegal, or the spec has no stable kernel fixed point.

    Notes
    -----
    Source: arXiv:2402.02697, equations (1)-(3). With ``d = phi'(u) / sqrt(m)`` at the pre-activations ``u`` of
    the equilibrium, the gradient ``v`` with respect to ``u`` solves ``v = d * (g + sigma_a A^T v)`` for the
    gradient ``g`` with respect to ``z``; then ``A`` gets ``sigma_a v z^T``, ``B`` gets ``sigma_b v x^T`` and ``c`` gets
    ``sigma_c v``. Derivatives of the gradient, forward-mode ones, and ``torch.func`` (``vmap``, ``jacrev``, ``jacfwd``,
    ``hessian``) solve systems of the same form. Under ``torch.autocast`` the equilibrium stays in the network's own
    precision; half precision, in which no useful tolerance can be reached, is refused.

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

    spec: DEQ
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
        solver: str = "plain",
        gradient: str = "implicit",
    ) -> None:
        if not isinstance(spec, DEQ):
            raise ValueError(f"spec must be a DEQ, got {spec!r}")
        super().__init__(in_features, width, out_features)
        self.spec = spec
        self.tol = None if tol is None else number("tol", tol, low=0.0, strict=True)
        self.max_iter = integer("max_iter", max_iter, low=1)
        self.solver = choice("solver", solver, SOLVERS)
        self.gradient = choice("gradient", gradient, GRADIENTS)
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
        batch = self._batch(X)
        with torch.autocast(batch.device.type, enabled=False):
            return equilibrium(self._equations(), self._injected(batch), self.A, self.gradient)

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
        batch = self._batch(X)
        with torch.no_grad(), torch.autocast(batch.device.type, enabled=False):
            return self._equations().solve(self._injected(batch), self.A, on_failure)

    @property
    def hidden_weights(self) -> dict[str, Weight]:
        """``recurrent``, ``input`` and, if there is one, ``bias``."""
        found = {
            "recurrent": Weight(self.A, math.sqrt(self.spec.sigma_a2), self.width),
            "input": Weight(self.B, math.sqrt(self.spec.sigma_b2), self.in_features),
        }
        return found if self.c is None else found | {"bias": Weight(self.c, math.sqrt(self.spec.sigma_c2), 1)}

    def hidden_factors(self, batch: torch.Tensor, cotangent: torch.Tensor) -> tuple[torch.Tensor, dict[str, Factor]]:
        """Return the equilibria of a batch and the gradients of ``z . cotangent``, by one linear system a sample."""
        with torch.no_grad():
            injected, equations = self._injected(batch), self._equations()
            Z, _ = equations.solve(injected, self.A)
            slopes = equations.pull_back(injected, self.A, Z, cotangent.expand_as(Z))
        inputs = {"recurrent": Z, "input": batch, "bias": None}
        return Z, {name: Factor(weight.sigma * slopes, inputs[name]) for name, weight in self.hidden_weights.items()}

    @property
    def options(self) -> dict[str, Any]:
        """Settings of the solver, as the constructor takes them."""
        return {"tol": self.tol, "max_iter": self.max_iter, "solver": self.solver, "gradient": self.gradient}

    def _injected(self, batch: torch.Tensor) -> torch.Tensor:
        inputs = math.sqrt(self.spec.sigma_b2) * batch @ self.B.T
        return inputs if self.c is None else inputs + math.sqrt(self.spec.sigma_c2) * self.c

    def _equations(self) -> Equations:
        return Equations(
            activation=self.activation,
            gain=math.sqrt(self.spec.sigma_a2),
            width=self.width,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            what=f"{self.spec!r} at width {self.width}",
            cause=f"sigma_a2 (now {self.spec.sigma_a2:g})",
        )
