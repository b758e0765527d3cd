"""Models: an implicit one, explicit layers, and several explicit networks side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from notsodeep.activations import Activation
from notsodeep.activations import activation as look_up
from notsodeep.checks import number

if TYPE_CHECKING:
    from notsodeep.networks import DEQNetwork, ExplicitNetwork, ParallelNetwork

_LARGEST = 1e12  # of a variance or scale: beyond it squares of squares overflow
_BIASES = ("sigma_c2", "bias_var")  # shown only where there is a bias


@dataclass(frozen=True, init=False)
class DEQ:
    """Deep equilibrium model ``z = phi(sigma_a A z + sigma_b B x + sigma_c c) / sqrt(m)``, read out by ``w . z``.

    ``A (m, m)``, ``B (m, p)``, the bias ``c (m)``, which all samples share, and ``w (m)`` have iid N(0, 1)
    entries. Samples are scaled so that their mean squared norm is ``tau0**2``.

    Parameters
    ----------
    activation : str or Activation
        ``phi`` before centring; a name is looked up.
    sigma_a2, sigma_b2 : float
        Variances of the recurrent (>= 0) and of the input weights (> 0).
    tau0 : float
        Root mean squared norm of the samples that the model is meant for (> 0).
    center : bool
        Subtract ``E[phi(tau_star xi)]`` from the activation, ``tau_star`` being the scale of the
        pre-activations. The shift is fixed by ``tau0``: a spec is one kernel function, whatever the data.
    sigma_c2 : float
        Variance of the bias (>= 0). With 0 there is none, neither in the network nor among its weights.

    Raises
    ------
    ValueError
        When a parameter is illegal. Whether a stable fixed point exists is checked where it is needed.

    Notes
    -----
    Source: arXiv:2402.02697, equations (1)-(3), where there is no bias.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8)
    DEQ(activation=tanh(), sigma_a2=0.2, sigma_b2=0.8, tau0=1.0, center=True)
    >>> nsd.DEQ("tanh", sigma_c2=0.1)
    DEQ(activation=tanh(), sigma_a2=0.2, sigma_b2=0.8, tau0=1.0, center=True, sigma_c2=0.1)
    """

    activation: Activation
    sigma_a2: float
    sigma_b2: float
    tau0: float
    center: bool
    sigma_c2: float = 0.0

    def __init__(
        self,
        activation: str | Activation = "relu",
        sigma_a2: float = 0.2,
        sigma_b2: float = 0.8,
        tau0: float = 1.0,
        center: bool = True,
        sigma_c2: float = 0.0,
    ) -> None:
        if not isinstance(center, bool):
            raise ValueError(f"center must be True or False, got {center!r}")
        _put(
            self,
            activation=look_up(activation),
            sigma_a2=number("sigma_a2", sigma_a2, low=0.0, high=_LARGEST),
            sigma_b2=number("sigma_b2", sigma_b2, low=0.0, high=_LARGEST, strict=True),
            tau0=number("tau0", tau0, low=0.0, high=_LARGEST, strict=True),
            center=center,
            sigma_c2=number("sigma_c2", sigma_c2, low=0.0, high=_LARGEST),
        )

    def __repr__(self) -> str:
        return _shown(self)

    def to_torch(
        self, in_features: int, width: int, out_features: int = 1, seed: int = 0, **options: Any
    ) -> DEQNetwork:
        """Return a finite network with this spec, drawn from ``seed``: see :class:`notsodeep.networks.DEQNetwork`.

        ``options`` are those of its solver.
        """
        from notsodeep.networks import DEQNetwork

        return DEQNetwork(self, in_features, width, out_features, seed=seed, **options)


@dataclass(frozen=True, init=False)
class Layer:
    """One hidden layer: ``u = sqrt(weight_var) W y + sqrt(bias_var) c``, then ``sigma(u) / sqrt(m)``.

    ``W`` and the bias ``c (m)``, which all samples share, have iid N(0, 1) entries.

    Parameters
    ----------
    activation : str or Activation
        ``sigma``, final: nothing is subtracted from it.
    weight_var : float
        Variance of the weights that feed the layer (> 0).
    learning_rate : float
        Multiplier of the learning rate of all that feeds the layer, ``W`` and ``c`` (>= 0); it enters the NTK alone.
    bias_var : float
        Variance of the bias (>= 0). With 0 there is none, neither in the network nor among its weights.

    Raises
    ------
    ValueError
        When a parameter is illegal.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.Layer("hardtanh", weight_var=2.0).activation.kinks
    (-1.0, 1.0)
    >>> nsd.Layer("tanh"), nsd.Layer("tanh", bias_var=0.1)  # doctest: +NORMALIZE_WHITESPACE
    (Layer(activation=tanh(), weight_var=1.0, learning_rate=1.0),
     Layer(activation=tanh(), weight_var=1.0, learning_rate=1.0, bias_var=0.1))
    """

    activation: Activation
    weight_var: float
    learning_rate: float
    bias_var: float = 0.0

    def __init__(
        self,
        activation: str | Activation = "relu",
        weight_var: float = 1.0,
        learning_rate: float = 1.0,
        bias_var: float = 0.0,
    ) -> None:
        _put(
            self,
            activation=look_up(activation),
            weight_var=number("weight_var", weight_var, low=0.0, high=_LARGEST, strict=True),
            learning_rate=number("learning_rate", learning_rate, low=0.0),
            bias_var=number("bias_var", bias_var, low=0.0, high=_LARGEST),
        )

    def __repr__(self) -> str:
        return _shown(self)


@dataclass(frozen=True)
class MLP:
    """Explicit network of one or more :class:`Layer`, read out linearly.

    Raises
    ------
    ValueError
        When there is no layer, or something else than a :class:`Layer` among them.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.MLP(layers=(nsd.Layer("tanh"), nsd.Layer("hardtanh"))).depth
    2
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _put(self, layers=_members("layers", self.layers, Layer))

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.layers)

    def to_torch(
        self,
        in_features: int,
        width: int,
        out_features: int = 1,
        seed: int = 0,
        weights: str = "gaussian",
        sparsity: float | None = None,
    ) -> ExplicitNetwork:
        """Return a finite network with this spec and ``seed``: see :class:`notsodeep.networks.ExplicitNetwork`."""
        from notsodeep.networks import ExplicitNetwork

        return ExplicitNetwork(self, in_features, width, out_features, seed=seed, weights=weights, sparsity=sparsity)


@dataclass(frozen=True)
class Parallel:
    """One or more :class:`MLP` side by side: each reads the input, one readout reads all their features.

    With the features ``y_b`` of branch ``b``, divided by the root of its own width, and ``w`` iid N(0, 1)::

        f = w . (y_1, y_2, ...)

    so both kernels are sums over the branches: ``CK = sum_b CK_b``, and the NTK likewise, each branch with the
    learning rates of its own layers and the readout at rate 1.

    Parameters
    ----------
    branches : sequence of MLP
        Their depths may differ.

    Raises
    ------
    ValueError
        When there is no branch, or something else than an :class:`MLP` among them.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> one, two = nsd.MLP(nsd.Layer("tanh")), nsd.MLP((nsd.Layer("relu"), nsd.Layer("relu")))
    >>> nsd.Parallel(branches=(one, two)).depth
    2
    """

    branches: tuple[MLP, ...]

    def __post_init__(self) -> None:
        _put(self, branches=_members("branches", self.branches, MLP))

    @property
    def depth(self) -> int:
        """Number of hidden layers of the deepest branch."""
        return max(branch.depth for branch in self.branches)

    def to_torch(
        self, in_features: int, width: int, out_features: int = 1, seed: int = 0, **options: Any
    ) -> ParallelNetwork:
        """Return a finite network with this spec and ``seed``: see :class:`notsodeep.networks.ParallelNetwork`.

        ``width`` is the number of features of all branches together; ``options`` go to the network of each of them.
        """
        from notsodeep.networks import ParallelNetwork

        return ParallelNetwork(self, in_features, width, out_features, seed=seed, **options)


Spec = DEQ | MLP | Parallel


def _members(name: str, given: Any, kind: type) -> tuple[Any, ...]:
    """Return one or more records of one kind as a tuple; a single one may come alone."""
    members = (given,) if isinstance(given, kind) else given
    if not isinstance(members, Iterable) or isinstance(members, str):
        raise ValueError(f"{name} must be a sequence of {kind.__name__}, got {given!r}")
    members = tuple(members)
    wrong = [member for member in members if not isinstance(member, kind)]
    if not members or wrong:
        raise ValueError(f"{name} must be one or more {kind.__name__}, got {wrong[0] if wrong else 'none'!r}")
    return members


def _shown(record: Any) -> str:
    """Return the ``repr`` of a record, without a bias that it does not have."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    shown = ", ".join(f"{name}={value!r}" for name, value in values.items() if value or name not in _BIASES)
    return f"{type(record).__name__}({shown})"


def _put(record: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(record, name, value)
