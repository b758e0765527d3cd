"""From a deep equilibrium model with weights of its own to a shallow network in its place."""

from notsodeep.compiler.compiled import Compiled, Variances
from notsodeep.compiler.compiling import compile  # noqa: A004  # the verb that it is
from notsodeep.compiler.fidelity import CompiledFidelity
from notsodeep.compiler.layer import ImplicitLayer
from notsodeep.compiler.weights import WeightsCheck, check_weights

__all__ = ["Compiled", "CompiledFidelity", "ImplicitLayer", "Variances", "WeightsCheck", "check_weights", "compile"]
