"""What finite networks share: seeded weights, checked batches, and a linear head on top of features."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri

from notsodeep.checks import choice, integer, number
from notsodeep.networks.weight import OPTIMIZERS, PARAMETRIZATIONS, Factor, Weight
from notsodeep.spec import trainable_weights

PRECISIONS = (torch.float32, torch.float64)


class FiniteNetwork(torch.nn.Module, ABC):
    """Network of finite width: hidden features ``(n, width)`` and a linear ``readout`` on top of them."""

    readout: torch.nn.Linear
    spec: Any
    """The model"""

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
    def hidden_weights(self) -> dict[str, Weight]:
        """Weights below the readout by the names that the spec has for them (:func:`notsodeep.spec.weight_names`)."""

    @abstractmethod
    def hidden_factors(self, batch: torch.Tensor, cotangent: torch.Tensor) -> tuple[torch.Tensor, dict[str, Factor]]:
        """Return the features of a batch and, for ``f = features . cotangent``, the gradients in the hidden weights."""

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the constructor that neither the spec, the sizes nor the weights tell."""

    def forward(self, X: Any) -> torch.Tensor:
        """Return ``features(X) @ readout.weight.T``, plus an intercept if the readout was given one."""
        return self.readout(self.features(X))

    def parameter_groups(
        self,
        lr: float,
        trainable: str | Iterable[str] = "all",
        *,
        parametrization: str = "ntk",
        optimizer: str = "sgd",
    ) -> list[dict[str, Any]]:
        """Return groups of weights for a torch optimiser, named as in the spec, each with its learning rate.

        Parameters
        ----------
        lr : float
            Learning rate of weights whose spec has the multiplier 1 (>= 0); those of a layer get ``lr`` times its
            ``learning_rate``.
        trainable : "all" or names
            Weights to train (:func:`notsodeep.spec.weight_names`). The others are in no group. An intercept of the
            readout, which no spec has, is trained with it.
        parametrization : {"ntk", "standard"}
            ``"ntk"``: weights start as N(0, 1) and are multiplied by ``sigma``; under plain gradient descent these are
            the rates that the spec's NTK assumes. ``"standard"``: the rates (and Adam's ``eps``) that make training
            that of a network whose weights start as N(0, sigma^2 / fan-in), on inputs with entries of order 1, with
            learning rate ``lr``; the weights that are stored stay those of the NTK parametrisation.
        optimizer : {"sgd", "adam"}
            What the groups are for: steps of SGD scale with the square of a factor of the weights, those of Adam with
            the factor itself. Without effect for ``"ntk"``.

        Raises
        ------
        ValueError
            When an argument is illegal.

        Notes
        -----
        Weights ``V = c W`` with ``c = sigma / sqrt(fan-in)`` (``c = sigma`` for a bias) compute the same function. A
        step ``-lr dL/dV`` of theirs is a step ``-(lr / c^2) dL/dW`` here, and Adam's step ``-lr m / (sqrt(v) + eps)``
        is ``-(lr / c) m / (sqrt(v) + c eps)``. Weight decay belongs to the parametrisation and is not translated.

        Examples
        --------
        >>> import torch
        >>> from notsodeep.networks import DEQNetwork, ExplicitNetwork
        >>> from notsodeep.spec import DEQ, MLP, Layer
        >>> net = ExplicitNetwork(MLP((Layer("tanh", learning_rate=0.5),)), in_features=3, width=8)
        >>> [(group["name"], group["lr"]) for group in torch.optim.SGD(net.parameter_groups(0.1)).param_groups]
        [('layer1', 0.05), ('readout', 0.1)]
        >>> deq = DEQNetwork(DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8), in_features=3, width=8)
        >>> groups = deq.parameter_groups(0.1, ("recurrent", "readout"), parametrization="standard")
        >>> [(group["name"], round(group["lr"], 6)) for group in groups]
        [('recurrent', 4.0), ('readout', 0.8)]
        """
        lr = number("lr", lr, low=0.0)
        choice("parametrization", parametrization, PARAMETRIZATIONS)
        choice("optimizer", optimizer, OPTIMIZERS)
        chosen = trainable_weights(self.spec, trainable)
        groups = []
        for name, weight in self.named_weights.items():
            if name in chosen:
                options = weight.rates(lr, parametrization, optimizer)
                groups.append({"name": name, "params": [weight.value], **options})
        if "readout" in chosen and self.readout.bias is not None:
            intercept = Weight(self.readout.bias, 1.0, 1)
            options = intercept.rates(lr, parametrization, optimizer)
            groups.append({"name": "readout.bias", "params": [intercept.value], **options})
        return groups

    @property
    def named_weights(self) -> dict[str, Weight]:
        """All weights by the names that the spec has for them, in the order in which the input meets them."""
        return self.hidden_weights | {"readout": Weight(self.readout.weight, 1.0, self.width)}

    def factors(self, X: Any, output: int = 0) -> dict[str, Factor]:
        """Return what the gradients of one output in each weight are made of, sample by sample.

        Parameters
        ----------
        X : torch.Tensor or array_like
            Samples ``(n, in_features)``.
        output : int
            Which output.

        Returns
        -------
        dict of str to Factor
            By the name of the weight. The gradient of sample i is the outer product of row i of ``slopes`` and of
            ``inputs``; times the root of the learning-rate multiplier of the spec.
        """
        integer("output", output, low=0, high=self.out_features - 1)
        row = self.readout.weight[output].detach()
        features, factors = self.hidden_factors(self._batch(X).detach(), row)
        return factors | {"readout": Factor(None, features)}

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
        if dtype not in PRECISIONS:
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype!r}")
        self._dtype = dtype
        self._generator = torch.Generator("cpu").manual_seed(_of_32_bits(integer("seed", seed, low=0)))

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


def _of_32_bits(seed: int) -> int:
    """Return a seed for torch's CPU generator, which would read the last 32 bits of a longer one alone."""
    return seed if seed < 2**32 else int(np.random.SeedSequence(seed).generate_state(1)[0])


def as_batch(X: Any, in_features: int, like: torch.Tensor) -> torch.Tensor:
    """Return ``X`` as a tensor of samples ``(n, in_features)`` of the dtype of ``like``.

    NumPy arrays are copied to the device of ``like``; tensors have to be there already and stay in the graph.

    Raises
    ------
    ValueError
        When ``X`` has another shape, is empty, not real, not finite, or on another device.
    """
    if like.dtype not in PRECISIONS:
        raise ValueError(f"networks compute in torch.float32 or torch.float64, got weights of {like.dtype}")
    if not isinstance(X, torch.Tensor):
        X = torch.from_numpy(_real_array(X)).to(like.device)
    if X.is_complex():
        raise ValueError(f"X must be real numbers, got dtype {X.dtype}")
    if X.ndim != 2 or X.shape[0] < 1 or X.shape[1] != in_features:
        raise ValueError(f"X must have shape (n, {in_features}) with n >= 1, got {tuple(X.shape)}")
    if X.device != like.device:
        raise ValueError(f"X must be on the device of the network, {like.device}, got {X.device}")
    return _finite(X).to(like.dtype)


@torch.compiler.disable  # what it does depends on the data
def _finite(X: torch.Tensor) -> torch.Tensor:
    return _Finite.apply(X)


class _Finite(torch.autograd.Function):
    """Its argument, which must be finite; a function of its own so that ``torch.func`` can look through it."""

    @staticmethod
    def forward(X: torch.Tensor) -> torch.Tensor:
        finite = torch.isfinite(X).all(dim=-1)
        if not finite.all():
            bad = torch.nonzero(~finite.flatten())
            raise ValueError(f"X has NaN or infinite values ({len(bad)} samples, the first is row {int(bad[0])})")
        return X.view_as(X)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor) -> torch.Tensor:
        return tangent.view_as(tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], X: torch.Tensor) -> tuple[torch.Tensor, int | None]:
        return _Finite.apply(X), in_dims[0]


def _real_array(X: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = np.asarray(X)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"X must be real numbers, got dtype {array.dtype}")
    return np.array(array, dtype=np.float64)
