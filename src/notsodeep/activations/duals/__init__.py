"""Bivariate expectations ``E[phi(u) phi(v)]`` and ``E[phi'(u) phi'(v)]`` of correlated Gaussians.

``closed`` has the elementary closed forms, ``series`` Mehler's expansion with a bound on what it leaves out,
``polygon`` piecewise-linear functions by Owen's T, ``polar`` quadrature for the rest (tables of it in ``surface``);
``dual`` puts them together. ``differentiable`` makes functions for autograd of it, from derivatives in ``partials``.
"""

from notsodeep.activations.duals.dual import Dual

__all__ = ["Dual"]
