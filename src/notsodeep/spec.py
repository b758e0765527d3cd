"""What is given: frozen, validated descriptions of a model. One spec gives both network and kernel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from notsodeep.activations import Activation
from notsodeep.activations import activation as look_up
from notsodeep.checks import number

if TYPE_CHECKING:
    from notsodeep.networks import DEQNetwork, ExplicitNetwork

DEQ_WEIGHTS = ("recurrent", "input", "readout")
_LARGEST = 1e12  # of a variance or scale: beyond it squares of squares overflow


@dataclass(frozen=True, init=False)
class DEQ:
    """Deep equilibrium model ``z = phi(sigma_a A z + sigma_b B x) / sqrt(m)``, read out by ``w . z``.

    ``A (m, m)``, ``B (m, p)`` and ``w (m)`` have iid N(0, 1) entries. Samples are scaled so that
    their mean squared norm is ``tau0**2``.

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

    Raises
    ------
    ValueError
        When a parameter is illegal. Whether a stable fixed point exists is checked where it is needed.

    Notes
    -----
    Source: arXiv:2402.02697, equations (1)-(3).

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.DEQ("tanh", sigma_a2=0.2, sigma_b2=0.8)
    DEQ(activation=tanh(), sigma_a2=0.2, sigma_b2=0.8, tau0=1.0, center=True)
    """

    activation: Activation
    sigma_a2: float
    sigma_b2: float
    tau0: float
    center: bool

    def __init__(
        self,
        activation: str | Activation = "relu",
        sigma_a2: float = 0.2,
        sigma_b2: float = 0.8,
        tau0: float = 1.0,
        center: bool = True,
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
        )

    def to_torch(self, in_features: int, width: int, out_features: int = 1, seed: int = 0) -> DEQNetwork:
        """Return a finite network with this spec, drawn from ``seed``: see :class:`notsodeep.networks.DEQNetwork`."""
        from notsodeep.networks import DEQNetwork

        return DEQNetwork(self, in_features, width, out_features, seed=seed)


@dataclass(frozen=True, init=False)
class Layer:
    """One hidden layer: ``u = sqrt(weight_var) W y``, then ``sigma(u) / sqrt(m)``, W iid N(0, 1).

    Parameters
    ----------
    activation : str or Activation
        ``sigma``, final: nothing is subtracted from it.
    weight_var : float
        Variance of the weights that feed the layer (> 0).
    learning_rate : float
        Multiplier of the learning rate of ``W`` (>= 0); it enters the NTK alone.

    Raises
    ------
    ValueError
        When a parameter is illegal.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.Layer("hardtanh", weight_var=2.0).activation.kinks
    (-1.0, 1.0)
    """

    activation: Activation
    weight_var: float
    learning_rate: float

    def __init__(
        self, activation: str | Activation = "relu", weight_var: float = 1.0, learning_rate: float = 1.0
    ) -> None:
        _put(
            self,
            activation=look_up(activation),
            weight_var=number("weight_var", weight_var, low=0.0, high=_LARGEST, strict=True),
            learning_rate=number("learning_rate", learning_rate, low=0.0),
        )


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
        layers = (self.layers,) if isinstance(self.layers, Layer) else self.layers
        if not isinstance(layers, Iterable) or isinstance(layers, str):
            raise ValueError(f"layers must be a sequence of Layer, got {self.layers!r}")
        layers = tuple(layers)
        wrong = [layer for layer in layers if not isinstance(layer, Layer)]
        if not layers or wrong:
            raise ValueError(f"layers must be one or more Layer, got {wrong[0] if wrong else 'none'!r}")
        _put(self, layers=layers)

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.layers)

    def to_torch(self, in_features: int, width: int, out_features: int = 1, seed: int = 0) -> ExplicitNetwork:
        """Return a finite network with this spec and ``seed``: see :class:`notsodeep.networks.ExplicitNetwork`."""
        from notsodeep.networks import ExplicitNetwork

        return ExplicitNetwork(self, in_features, width, out_features, seed=seed)


Spec = DEQ | MLP


def trainable_weights(spec: Spec, trainable: str | Iterable[str]) -> frozenset[str]:
    """Return the set of weights that ``trainable`` names, ``"all"`` meaning every one.

    A DEQ has ``recurrent``, ``input`` and ``readout``; an MLP has ``layer1``, ``layer2``, ... and ``readout``.

    Raises
    ------
    ValueError
        When the set is empty or names something that the spec does not have.
    """
    legal = weight_names(spec)
    if isinstance(trainable, str):
        trainable = legal if trainable == "all" else (trainable,)
    if not isinstance(trainable, Iterable):
        raise ValueError(f"trainable must be 'all' or names among {legal}, got {trainable!r}")
    chosen = frozenset(trainable)
    unknown = sorted(map(repr, chosen - set(legal)))
    if unknown or not chosen:
        raise ValueError(f"trainable must be 'all' or one or more of {legal}, got {unknown[0] if unknown else 'none'}")
    return chosen


def weight_names(spec: Spec) -> tuple[str, ...]:
    """Return the names of the weights of ``spec`` in the order in which the input meets them."""
    if isinstance(spec, DEQ):
        return DEQ_WEIGHTS
    if isinstance(spec, MLP):
        return (*(f"layer{i}" for i in range(1, spec.depth + 1)), "readout")
    raise ValueError(f"spec must be a DEQ or an MLP, got {spec!r}")


def to_dict(spec: Spec) -> dict[str, Any]:
    """Return ``spec`` as plain JSON data.

    Raises
    ------
    ValueError
        When an activation was made from a callable: code is not data.
    """
    if isinstance(spec, DEQ):
        plain = {k: getattr(spec, k) for k in ("sigma_a2", "sigma_b2", "tau0", "center")}
        return {"kind": "DEQ", "activation": _activation_to_dict(spec.activation)} | plain
    weight_names(spec)
    layers = [
        {
            "activation": _activation_to_dict(layer.activation),
            "weight_var": layer.weight_var,
            "learning_rate": layer.learning_rate,
        }
        for layer in spec.layers
    ]
    return {"kind": "MLP", "layers": layers}


def from_dict(data: dict[str, Any]) -> Spec:
    """Return the spec that :func:`to_dict` wrote; raise ``ValueError`` for anything else."""
    try:
        given = dict(data)
        kind = given.pop("kind")
        if kind == "DEQ":
            return DEQ(activation=_activation_from_dict(given.pop("activation")), **given)
        if kind == "MLP":
            return MLP(
                tuple(Layer(_activation_from_dict(d.pop("activation")), **d) for d in map(dict, given["layers"]))
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the description of a spec: {error}") from error
    raise ValueError(f"not the description of a spec: kind is {kind!r}")


def _activation_to_dict(phi: Activation) -> dict[str, Any]:
    if not phi.is_registered:
        raise ValueError(f"{phi!r} was made from a callable and cannot be written down; register it by a name")
    return {"name": phi.name, "params": dict(phi.params), "offset": phi.offset}


def _activation_from_dict(data: dict[str, Any]) -> Activation:
    built = look_up(data["name"], **data["params"])
    by = data["offset"] - built.offset
    return built.shifted(by) if by else built


def _put(record: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(record, name, value)
