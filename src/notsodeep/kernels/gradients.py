"""The exact kernels as functions that torch can differentiate: in the samples, and in the variances of a DEQ.

Fixed points are differentiated at their solution, by the implicit function theorem; no iteration is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import torch

from notsodeep.activations.duals.differentiable import dual, fixed_point, squares
from notsodeep.activations.moments import moments_of_many
from notsodeep.kernels.samples import correlation
from notsodeep.kernels.scalar import RestPoint, rest_point, sample_variances
from notsodeep.spec import DEQ, MLP, Layer, Spec, branches_of

Kernels = tuple[torch.Tensor, torch.Tensor]
VARIANCES = ("sigma_a2", "sigma_b2", "sigma_c2")
_NEARLY_ONE = 1e-9  # 1 - |rho| of copies whose covariance has gathered rounding


def at_variances(spec: Spec, variances: Mapping[str, torch.Tensor] | None) -> Spec:
    """Return ``spec`` with the values of ``variances``, a mapping of tensors ``()``, in place of its own.

    Raises
    ------
    ValueError
        For another spec, an unknown name, or something else than a real tensor without axes; and as :class:`DEQ` does.

    Examples
    --------
    >>> import torch, notsodeep as nsd
    >>> from notsodeep.kernels.gradients import at_variances
    >>> at_variances(nsd.DEQ("tanh"), {"sigma_a2": torch.tensor(0.5)}).sigma_a2
    0.5
    """
    if variances is None:
        return spec
    if not isinstance(spec, DEQ):
        raise ValueError(f"variances are those of a DEQ, got {spec!r}; data are what it is differentiated in")
    if not isinstance(variances, Mapping):
        raise ValueError(f"variances must map names among {VARIANCES} to tensors, got {variances!r}")
    for name, value in variances.items():
        if name not in VARIANCES:
            raise ValueError(f"variances must have names among {VARIANCES}, got {name!r}")
        if not isinstance(value, torch.Tensor) or value.ndim or not value.dtype.is_floating_point:
            raise ValueError(f"variances[{name!r}] must be a floating-point tensor without axes, got {value!r}")
    values: dict[str, Any] = {name: float(value.detach()) for name, value in variances.items()}
    return replace(spec, **values)


def differentiable(
    spec: Spec,
    X: torch.Tensor,
    Y: torch.Tensor | None,
    trained: frozenset[str],
    variances: Mapping[str, torch.Tensor] | None,
    ck: torch.Tensor | None,
) -> Kernels:
    """Return ``(ck, ntk)`` with a graph that leads to ``X``, ``Y`` and ``variances``.

    Parameters
    ----------
    spec : DEQ, MLP or Parallel
        The model.
    X, Y : tensor (n, p), (m, p)
        Checked samples; without ``Y``, those of ``X`` among themselves.
    trained : frozenset of str
        Trained weights. A bias of variance 0 is none, also for the gradient in its variance.
    variances : mapping of str to tensor (), optional
        Values of ``sigma_a2``, ``sigma_b2``, ``sigma_c2`` that replace those of a DEQ, and lead to their gradients.
    ck : tensor (n, m), optional
        The conjugate kernel of the DEQ at these values, already solved. Explicit layers do without.

    Returns
    -------
    tuple of tensor (n, m)
        float64.

    Raises
    ------
    ValueError
        As :func:`at_variances`, and for an activation that itself jumps.
    ConvergenceError
        When an integral does not settle; ``backward`` raises it too.

    Notes
    -----
    With ``Lambda = sigma_a2 V(Lambda, q, q') + S``, ``d Lambda = (V d sigma_a2 + sigma_a2 (dV/dq dq + dV/dq' dq') + dS)
    / (1 - sigma_a2 D)``, at the solution; the variances ``q`` likewise. A centring shift moves with the variances.
    Gradients exist once. Where two samples are copies (or opposite ones, for an odd activation with kinks) the NTK has
    the tip of a cone in their difference; the gradient is the one along pairs that stay copies.

    Examples
    --------
    >>> import torch, notsodeep as nsd
    >>> from notsodeep.kernels.gradients import differentiable
    >>> X, a2 = torch.eye(2, dtype=torch.float64), torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    >>> G, K = differentiable(nsd.DEQ("relu"), X, None, frozenset({"readout"}), {"sigma_a2": a2}, nsd.ck(nsd.DEQ(), X))
    >>> G[0, 0].backward()
    >>> round(float(a2.grad), 6)   # G^2 / sigma_b2 for centred relu and samples of norm tau0
    0.107036
    """
    spec = at_variances(spec, variances)
    X = X.to(torch.float64)
    Y = None if Y is None or Y is X else Y.to(torch.float64)
    if isinstance(spec, DEQ):
        if ck is None:
            raise ValueError("ck must be the solved conjugate kernel of a DEQ, got None")
        return _of_deq(spec, X, Y, trained, dict(variances or {}), ck.to(X))
    pairs = _Pairs.of(X, Y)
    parts = [_of_mlp(mlp, pairs, own) for mlp, own in branches_of(spec, trained)]
    ck, ntk = (reduce(torch.add, kernel) for kernel in zip(*parts, strict=True))
    return ck, ntk


@dataclass(frozen=True)
class _Pairs:
    """Samples with what is known before any kernel: norms, Gram matrix, and which pairs are copies."""

    norms: tuple[torch.Tensor, torch.Tensor]
    """Squared norms of the rows and of the columns, with a graph"""
    square: bool
    """Whether the columns are the rows"""
    gram: torch.Tensor
    """``(n, m)``, with a graph"""
    copies: tuple[torch.Tensor, torch.Tensor]
    """Places of the pairs that are copies or opposite, off the diagonal of a square matrix"""

    @classmethod
    def of(cls, X: torch.Tensor, Y: torch.Tensor | None) -> _Pairs:
        """Return the pairs of the rows of ``X`` and of ``Y``, or of ``X`` among themselves."""
        left = X.square().sum(dim=1)
        right = left if Y is None else Y.square().sum(dim=1)
        gram = X @ (X if Y is None else Y).T
        return cls((left, right), Y is None, gram, _copies(gram.detach(), left.detach(), right.detach(), Y is None))

    def columns(self, of_columns: torch.Tensor) -> torch.Tensor | None:
        """Return what belongs to the columns, or None where they are the rows."""
        return None if self.square else of_columns

    def settled(self, covariance: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Put copies where they belong: E[phi' phi'] of a kinked phi would feel the square root of the rounding."""
        i, j = self.copies
        if not i.numel():
            return covariance
        with torch.no_grad():
            found, bound = covariance[i, j], rows[i].sqrt() * columns[j].sqrt()
            by = torch.sign(found) * bound - found
            by = torch.where(by.abs() <= _NEARLY_ONE * bound, by, 0.0)
        return covariance.index_put((i, j), by, accumulate=True)

    def whole(self, matrix: torch.Tensor, diagonal: torch.Tensor) -> torch.Tensor:
        """Return ``matrix``, with the diagonal of its own where it is square."""
        return torch.diagonal_scatter(matrix, diagonal) if self.square else matrix


def _copies(
    gram: torch.Tensor, left: torch.Tensor, right: torch.Tensor, square: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    i, j = torch.nonzero(gram.abs() >= (1.0 - 1e-14) * torch.outer(left.sqrt(), right.sqrt()), as_tuple=True)
    alike = (left[i] / right[j] - 1.0).abs() <= 2e-15
    alike &= correlation(gram[i, j], left[i].sqrt() * right[j].sqrt()).abs() == 1.0
    alike &= (i != j) | (not square)
    return i[alike], j[alike]


def _of_deq(
    deq: DEQ,
    X: torch.Tensor,
    Y: torch.Tensor | None,
    trained: frozenset[str],
    variances: Mapping[str, torch.Tensor],
    ck: torch.Tensor,
) -> Kernels:
    a2, b2, c2 = (
        variances.get(name, torch.tensor(getattr(deq, name), dtype=torch.float64)).to(X) for name in VARIANCES
    )
    pairs, rest = _Pairs.of(X, Y), rest_point(deq)
    shift = _moving_shift(deq, rest, a2, b2, c2)
    left = _moving_variances(deq, rest, pairs.norms[0], shift, a2, b2, c2)
    right = left if pairs.square else _moving_variances(deq, rest, pairs.norms[1], shift, a2, b2, c2)
    source = b2 * pairs.gram + c2
    covariance = pairs.settled(a2.detach() * ck + source.detach(), left, right)
    sides = left, pairs.columns(right)
    value, slope = fixed_point(rest.activation, *sides, source, a2, covariance, -shift)
    own_value, own_slope = squares(rest.activation, left, -shift)

    def tangent(value: torch.Tensor, slope: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
        inner = a2 * ("recurrent" in trained) * value + b2 * ("input" in trained) * gram + c2 * ("bias" in trained)
        return ("readout" in trained) * value + inner * slope / (1.0 - a2 * slope)

    ntk = pairs.whole(tangent(value, slope, pairs.gram), tangent(own_value, own_slope, pairs.norms[0]))
    return pairs.whole(value, own_value), ntk


def _moving_shift(deq: DEQ, rest: RestPoint, a2: torch.Tensor, b2: torch.Tensor, c2: torch.Tensor) -> torch.Tensor:
    """Return the centring shift: ``db = E[phi''] / 2 d(tau_star^2)``, and ``E[phi] = 0`` keeps it out of the latter."""
    shift = torch.as_tensor(rest.shift).to(a2)
    if not deq.center:
        return shift
    m = rest.moments
    variance = a2 * float(m.square) + b2 * deq.tau0**2 + c2
    rate = 0.5 * float(m.curvature) / (1.0 - 0.5 * deq.sigma_a2 * float(m.square_curvature))
    return _moved(shift, rate * variance)


def _moving_variances(
    deq: DEQ,
    rest: RestPoint,
    norms: torch.Tensor,
    shift: torch.Tensor,
    a2: torch.Tensor,
    b2: torch.Tensor,
    c2: torch.Tensor,
) -> torch.Tensor:
    """Return the variance of each sample, which solves ``q = sigma_a2 E[phi^2] + sigma_b2 |x|^2 + sigma_c2``."""
    q = sample_variances(deq, norms.detach().cpu().numpy())
    m = moments_of_many(rest.activation, np.sqrt(q))
    columns = q, m.square, m.mean, 1.0 / (1.0 - 0.5 * deq.sigma_a2 * m.square_curvature)
    solved, square, mean, gain = (torch.from_numpy(np.ascontiguousarray(c)).to(norms) for c in columns)
    return _moved(solved, gain * (a2 * square + b2 * norms + c2 - 2.0 * deq.sigma_a2 * mean * shift))


def _moved(value: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """Return ``value`` with the gradient of ``along``."""
    return value + (along - along.detach())


def _of_mlp(mlp: MLP, pairs: _Pairs, trained: frozenset[str]) -> Kernels:
    """The recursion of the explicit kernels; off the diagonal of a square matrix and, by itself, on it."""
    rows, columns = pairs.norms
    g, own_g = pairs.gram, rows
    k, own_k = torch.zeros_like(g), torch.zeros_like(rows)
    for index, layer in enumerate(mlp.layers, 1):
        rates = tuple(layer.learning_rate * (f"{name}{index}" in trained) for name in ("layer", "bias"))
        rows, columns = _entering(layer, rows), _entering(layer, columns)
        covariance = pairs.settled(layer.weight_var * g + layer.bias_var, rows, columns)
        value, slope = dual(layer.activation, rows, pairs.columns(columns), covariance)
        own_value, own_slope = squares(layer.activation, rows)
        k, own_k = _tangent(layer, rates, g, k, slope), _tangent(layer, rates, own_g, own_k, own_slope)
        columns = own_value if pairs.square else squares(layer.activation, columns)[0]
        g, rows, own_g = value, own_value, own_value
    readout = float("readout" in trained)
    return pairs.whole(g, own_g), pairs.whole(k + readout * g, own_k + readout * own_g)


def _entering(layer: Layer, variances: torch.Tensor) -> torch.Tensor:
    entering = layer.weight_var * variances + layer.bias_var
    if not bool((entering > 0).all()):
        raise ValueError(f"no signal reaches {layer!r}: the layer before it gives 0 for a sample")
    return entering


def _tangent(
    layer: Layer, rates: tuple[float, ...], g: torch.Tensor, k: torch.Tensor, slope: torch.Tensor
) -> torch.Tensor:
    weight, bias = rates
    return (layer.weight_var * (weight * g + k) + layer.bias_var * bias) * slope
