"""What a deep equilibrium model of a user's own has to be: ``z = phi(W z + U x + b)``, read out linearly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from notsodeep.activations import Activation
from notsodeep.compiler.children import parts_of
from notsodeep.compiler.comparison import require_same_function, require_same_outputs
from notsodeep.compiler.recognition import recognised
from notsodeep.compiler.stability import stable
from notsodeep.networks import DEQNetwork
from notsodeep.networks.base import PRECISIONS
from notsodeep.spec import DEQ


@dataclass(frozen=True, eq=False)
class ImplicitLayer:
    """A user's DEQ: states ``z = phi(W z + U x + b)`` of width m, outputs ``z R^T + r``.

    Parameters
    ----------
    recurrent : torch.nn.Linear or tensor (m, m)
        ``W``. The bias of a Linear is added to ``b``.
    input : torch.nn.Linear or tensor (m, p)
        ``U``; likewise.
    activation : str, Activation, torch.nn.Module or callable
        ``phi``; one whose values are those of a registered activation is recognised as that.
    bias : tensor (m,), optional
        ``b``.
    readout : torch.nn.Linear or tensor (outputs, m), optional
        ``R`` and ``r``.
    function : callable, optional
        The layer as the user has it, ``f(z, x)`` for rows ``z (n, m)`` and ``x (n, p)``: it is compared with
        ``phi(W z + U x + b)`` at random rows.

    Raises
    ------
    ValueError
        When shapes or precisions do not fit, weights are not finite, or ``function`` is another one: the message has
        the largest difference.

    Examples
    --------
    A layer as it is handed to a solver, as torchdeq takes it::

        deq = torchdeq.get_deq()
        states, info = deq(lambda z: torch.tanh(W(z) + U(x)), start)

    >>> import torch
    >>> from notsodeep.compiler import ImplicitLayer
    >>> W, U = torch.nn.Linear(64, 64, bias=False), torch.nn.Linear(5, 64)
    >>> layer = ImplicitLayer(W, U, torch.tanh, function=lambda z, x: torch.tanh(W(z) + U(x)))
    >>> layer.width, layer.in_features, layer.activation
    (64, 5, tanh())
    """

    recurrent: torch.Tensor = field(repr=False)
    input: torch.Tensor = field(repr=False)
    activation: Activation
    bias: torch.Tensor | None = field(default=None, repr=False)
    readout: torch.Tensor | None = field(default=None, repr=False)
    readout_bias: torch.Tensor | None = field(default=None, repr=False, init=False)
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        W, b = _linear("recurrent", self.recurrent)
        U, c = _linear("input", self.input)
        R, r = (None, None) if self.readout is None else _linear("readout", self.readout)
        own = None if self.bias is None else _tensor("bias", self.bias, 1)
        biases = [each for each in (b, c, own) if each is not None]
        m = len(W)
        _require_shape("recurrent", W, (m, m))
        _require_shape("input", U, (m, U.shape[1]))
        for each in biases:
            _require_shape("bias", each, (m,))
        if R is not None:
            _require_shape("readout", R, (len(R), m))
        _require_one_precision([each for each in (W, U, *biases, R, r) if each is not None])
        if not U.any():
            raise ValueError("input must not be zero: the states would not depend on the samples")
        total = torch.stack(biases).sum(dim=0) if biases else None
        put = object.__setattr__
        put(self, "recurrent", W)
        put(self, "input", U)
        put(self, "activation", recognised(self.activation))
        put(self, "bias", total if total is not None and total.any() else None)
        put(self, "readout", R)
        put(self, "readout_bias", r)
        self.check()

    @classmethod
    def from_module(
        cls,
        module: torch.nn.Module,
        samples: Any = None,
        *,
        recurrent: str | None = None,
        input: str | None = None,  # noqa: A002
        activation: Any = None,
        readout: str | None = None,
    ) -> ImplicitLayer:
        """Return the layer that is in a torch module, and make sure that the module computes what it computes.

        The square Linear is taken for ``W``, the other one that ends in the states for ``U``, the one that starts from
        them, if there is one, for the readout; the activation has to be a child too, or to be given. What is not found
        so can be named.

        Parameters
        ----------
        module : torch.nn.Module
            Maps samples ``(n, p)`` to outputs, or to states where it has no readout, by a solver of its own.
        samples : array_like or tensor (n, p), optional
            Rows at which it is compared, in evaluation mode; eight Gaussian ones of norm about 1 when not given.
        recurrent, input, readout : str, optional
            Names of children or parameters, dotted where they lie deeper.
        activation : optional
            The name of a child, or what the constructor takes.

        Raises
        ------
        ValueError
            When a part is not found or several fit, or the module computes something else: the message has the size of
            the difference. A loose solver is granted 1 %.

        Examples
        --------
        >>> import torch
        >>> from notsodeep.compiler import ImplicitLayer
        >>> class Model(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.W, self.U, self.head = torch.nn.Linear(32, 32), torch.nn.Linear(5, 32), torch.nn.Linear(32, 3)
        ...
        ...     def forward(self, x):
        ...         z = torch.zeros(len(x), 32)
        ...         for _ in range(50):
        ...             z = torch.tanh(self.W(z) + self.U(x))
        ...         return self.head(z)
        >>> layer = ImplicitLayer.from_module(Model(), activation=torch.tanh)
        >>> layer.width, layer.in_features, layer.out_features
        (32, 5, 3)
        """
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        parts = parts_of(module, recurrent, input, activation, readout)
        layer = cls(parts.recurrent, parts.input, parts.activation, readout=parts.readout)
        require_same_outputs(layer, module, samples)
        return layer

    @property
    def width(self) -> int:
        """Number m of states."""
        return len(self.recurrent)

    @property
    def in_features(self) -> int:
        """Number p of inputs."""
        return self.input.shape[1]

    @property
    def out_features(self) -> int:
        """Number of outputs; 0 without a readout."""
        return 0 if self.readout is None else len(self.readout)

    def preactivation(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return ``z W^T + x U^T + b`` of rows ``z (n, m)`` and ``x (n, p)``."""
        u = z @ self.recurrent.T + x @ self.input.T
        return u if self.bias is None else u + self.bias

    def check(self, X: Any = None) -> None:
        """Compare ``function``, if there is one, with ``phi(W z + U x + b)`` at random states and rows of ``X (n, p)``.

        Raises
        ------
        ValueError
            When they differ by more than rounding.
        """
        if self.function is not None:
            require_same_function(self, self.function, X)

    def spec(self, tau0: float = 1.0) -> DEQ:
        """Return the model whose weights have the mean squares of these, for samples of mean squared norm ``tau0**2``.

        ``sigma_a2 = m mean(W^2)``, ``sigma_b2 = mean(U^2)``, ``sigma_c2 = mean(b^2)``, about zero as the model has it.
        """
        return DEQ(
            self.activation,
            sigma_a2=self.width * _mean_square(self.recurrent),
            sigma_b2=_mean_square(self.input),
            tau0=tau0,
            center=False,
            sigma_c2=0.0 if self.bias is None else _mean_square(self.bias),
        )

    def to_network(self, tau0: float = 1.0, **options: Any) -> DEQNetwork:
        """Return the network of this package with exactly these weights; its states are ``z / sqrt(m)``.

        Its spec is :meth:`spec`, or, where that has no stable kernel, one with a lower ``sigma_a2``: then the entries
        of ``A`` have a mean square above 1.

        Parameters
        ----------
        tau0 : float
            Of the spec: root mean squared norm of the samples.
        **options
            Of :class:`~notsodeep.networks.DEQNetwork`: ``tol``, ``max_iter``, ``solver``, ...

        Examples
        --------
        >>> import torch
        >>> from notsodeep.compiler import ImplicitLayer
        >>> W, U = torch.eye(3) / 2, torch.eye(3)
        >>> net = ImplicitLayer(W, U, torch.relu, readout=torch.eye(3)).to_network()
        >>> net(torch.tensor([[1.0, 2.0, 3.0]]))  # z = z / 2 + x
        tensor([[2.0000, 4.0000, 6.0000]], grad_fn=...)
        """
        spec, root = stable(self.spec(tau0)), math.sqrt(self.width)
        outputs = max(self.out_features, 1)
        net = DEQNetwork(spec, self.in_features, self.width, outputs, dtype=self.recurrent.dtype, **options)
        net = net.to(self.recurrent.device)
        with torch.no_grad():
            if spec.sigma_a2 > 0.0:
                net.A.copy_(self.recurrent * (root / math.sqrt(spec.sigma_a2)))
            net.B.copy_(self.input / math.sqrt(spec.sigma_b2))
            if net.c is not None and self.bias is not None:
                net.c.copy_(self.bias / math.sqrt(spec.sigma_c2))
            if self.readout is not None:
                net.readout.weight.copy_(self.readout * root)
        if self.readout_bias is not None:
            net.readout.bias = torch.nn.Parameter(self.readout_bias.clone())
        return net


def _mean_square(weights: torch.Tensor) -> float:
    return float(weights.double().square().mean())


def _require_shape(name: str, given: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(given.shape) != shape:
        raise ValueError(f"{name} must have shape {shape} to fit the states, got {tuple(given.shape)}")


def _require_one_precision(weights: list[torch.Tensor]) -> None:
    found = {each.dtype for each in weights}
    if len(found) != 1 or not found <= set(PRECISIONS):
        got = ", ".join(sorted(map(str, found)))
        raise ValueError(f"weights must all be torch.float32 or all torch.float64, got {got}")


def _linear(name: str, given: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the matrix, and the bias of a Linear that has one."""
    if not isinstance(given, torch.nn.Linear):
        return _tensor(name, given, 2), None
    bias = None if given.bias is None else _tensor(f"bias of {name}", given.bias, 1)
    return _tensor(name, given.weight, 2), bias


def _tensor(name: str, given: Any, ndim: int) -> torch.Tensor:
    if not isinstance(given, torch.Tensor):
        given = torch.as_tensor(given)
    if given.ndim != ndim or not given.numel() or given.is_complex():
        raise ValueError(f"{name} must be a real tensor with {ndim} dimensions, got shape {tuple(given.shape)}")
    if not torch.isfinite(given).all():
        raise ValueError(f"{name} has NaN or infinite weights")
    return given.detach().clone()
