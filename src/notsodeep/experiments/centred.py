"""Explicit networks whose activations are centred where the data are."""

from __future__ import annotations

from collections.abc import Iterable

from notsodeep.activations import Activation, activation, moments
from notsodeep.checks import number
from notsodeep.spec import MLP, Layer


def centred_mlp(activations: Iterable[str | Activation], tau0: float = 1.0) -> MLP:
    """Return the network with one layer an activation, of weight variance 1, each centred at its scale.

    From the scale ``s_0 = tau0`` on::

        sigma_l = phi_l - E[phi_l(s_(l-1) xi)],    s_l^2 = E[sigma_l(s_(l-1) xi)^2]

    Parameters
    ----------
    activations : sequence of str or Activation
        Those of the hidden layers before centring, the first of all first.
    tau0 : float
        Root mean squared norm of the samples (> 0).

    Raises
    ------
    ValueError
        When there is no activation, or one of them is unknown or constant.

    Examples
    --------
    >>> centred_mlp(["relu", "tanh"]).layers[0]
    Layer(activation=relu(offset=-0.398942), weight_var=1.0, learning_rate=1.0)
    """
    layers, scale = [], number("tau0", tau0, low=0.0, strict=True)
    for each in activations:
        phi = activation(each)
        centred = phi.shifted(-float(moments(phi, scale).mean))
        scale = float(moments(centred, scale).square) ** 0.5
        if not scale > 0.0:
            raise ValueError(f"activations must not be constant, got {phi!r}")
        layers.append(Layer(centred))
    return MLP(tuple(layers))
