"""Kernels between samples of one norm as functions of their cosine.

``table`` holds functions of a cosine, ``price`` and ``curve`` bivariate expectations at one scale, ``series`` power
series; ``implicit`` and ``explicit`` are the two models, and ``kernel`` is what is public.
"""

from notsodeep.kernels.spherical.kernel import SphereKernel, sphere

__all__ = ["SphereKernel", "sphere"]
