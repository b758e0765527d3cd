"""High-dimensional equivalents: the coefficients, and the matrices made of them."""

from notsodeep.equivalents.coefficients import CKCoefficients, Coefficients, NTKCoefficients, coefficients

__all__ = ["CKCoefficients", "Coefficients", "NTKCoefficients", "coefficients"]
