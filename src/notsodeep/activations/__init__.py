"""Activations, their Gaussian moments and their bivariate expectations."""

from notsodeep.activations.activation import Activation
from notsodeep.activations.moments import Moments, moments
from notsodeep.activations.registry import activation, names

__all__ = ["Activation", "Moments", "activation", "moments", "names"]
