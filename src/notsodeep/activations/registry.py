"""Activations by name: ``activation("silu")``, ``activation("leaky_relu", slope=0.1)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from notsodeep.activations import blurs, hermite, polygons, smooth
from notsodeep.activations.activation import Activation
from notsodeep.activations.elementwise import Elementwise
from notsodeep.activations.forms import Blurred, ErrorFunction, Form, HermiteSeries, PiecewiseLinear, Wave
from notsodeep.checks import number


def activation(name: str | Activation, **params: Any) -> Activation:
    """Return a registered activation.

    Parameters
    ----------
    name : str
        One of :func:`names`; parameters may be written after a colon, ``"leaky_relu:slope=0.1"``,
        ``"hermite:coefficients=0/1/0.2"``.
        An :class:`Activation` is returned as it is.
    **params
        Parameters of the family: ``leaky_relu(slope)``; ``two_slope(a, b, tau)`` is
        ``max(a x, b x) - |a - b| tau / sqrt(2 pi)``, centred at scale ``tau`` (0: not shifted);
        ``hardtanh(scale, clip)`` is ``scale * clip(x, -clip, clip)``; ``three_slope(left, middle, right, knot)``
        has knots at ``-knot`` and ``knot``, and ``soft_slopes(left, middle, right, knot, width)`` is that blurred by a
        Gaussian of standard deviation ``width``; ``hermite(coefficients, scale)`` is
        ``sum_k c_k h_k(x / scale)`` with orthonormal ``h_k``; ``erf(rate)``, ``sin(frequency)``,
        ``cos(frequency)``, ``elu(alpha)``.

    Raises
    ------
    ValueError
        When the name or a parameter is unknown or illegal.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.activation("hardtanh", scale=2.0, clip=0.5).kinks
    (-0.5, 0.5)
    """
    if isinstance(name, Activation):
        if params:
            raise ValueError(f"parameters {sorted(params)} go with a name, not with an Activation object")
        return name
    if not isinstance(name, str):
        raise ValueError(f"activation must be a name or an Activation, got {name!r}")
    name, written = _parse(name)
    if name not in _FACTORIES:
        raise ValueError(f"unknown activation {name!r}; legal names: {', '.join(names())}")
    given = _FACTORIES[name][1] | written | {k: _hashable(v) for k, v in params.items()}
    return _build(name, tuple(given.items()))


def names() -> tuple[str, ...]:
    """Return the names of the registered activations."""
    return tuple(sorted(_FACTORIES))


@lru_cache(maxsize=4096)
def _build(name: str, params: tuple[tuple[str, Any], ...]) -> Activation:
    factory, defaults = _FACTORIES[name]
    unknown = sorted(set(dict(params)) - set(defaults))
    if unknown:
        legal = ", ".join(defaults) or "none"
        raise ValueError(f"activation {name!r} has no parameter {unknown[0]!r}; legal parameters: {legal}")
    given = {k: v if isinstance(defaults[k], tuple) else number(k, v) for k, v in params}
    built = factory(**given)
    put = object.__setattr__
    put(built, "name", name)
    put(built, "params", tuple(given.items()))
    return built


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    name, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    bad = [key for key, sign, _ in pairs if not sign]
    if bad:
        raise ValueError(f"activation parameters are written name:key=value,key=value; got {text!r}")
    return name.strip().lower(), {key.strip(): _written(key.strip(), value) for key, _, value in pairs}


def _written(key: str, value: str) -> Any:
    """Return the number that ``value`` is, or the tuple that is written as ``0/1/0.2``."""
    if "/" in value:
        return tuple(number(key, part) for part in value.split("/"))
    return number(key, value)


def _hashable(value: Any) -> Any:
    if isinstance(value, str) or not np.ndim(value):
        return value
    return tuple(number("coefficients", v) for v in value)


def _make(
    fn: Callable[[Any], Any],
    d1: Callable[[Any], Any],
    d2: Callable[[Any], Any],
    kinks: tuple[float, ...] = (),
    form: Form | None = None,
    offset: float = 0.0,
) -> Activation:
    both = [Elementwise(f, takes_numpy=True, takes_torch=True) for f in (fn, d1, d2)]
    return Activation(both[0], both[1], kinks, both[2], form=form, offset=offset)


def _polygon(knots: tuple[float, ...], slopes: tuple[float, ...], offset: float = 0.0) -> Activation:
    form = PiecewiseLinear(knots, slopes)
    return _make(partial(polygons.value, form), partial(polygons.slope, form), lambda x: 0.0 * x, knots, form, offset)


def _two_slope(a: float, b: float, tau: float) -> Activation:
    number("tau", tau, low=0.0)
    return _polygon((0.0,), (min(a, b), max(a, b)), offset=-abs(a - b) * tau / math.sqrt(2.0 * math.pi))


def _hardtanh(scale: float, clip: float) -> Activation:
    number("clip", clip, low=0.0, strict=True)
    return _polygon((-clip, clip), (0.0, scale, 0.0))


def _three_slope(left: float, middle: float, right: float, knot: float) -> Activation:
    number("knot", knot, low=0.0, strict=True)
    return _polygon((-knot, knot), (left, middle, right))


def _soft_slopes(left: float, middle: float, right: float, knot: float, width: float) -> Activation:
    number("knot", knot, low=0.0)
    number("width", width, low=0.0, strict=True)
    sides = PiecewiseLinear((-knot, knot), (left, middle, right)) if knot else PiecewiseLinear((0.0,), (left, right))
    form = Blurred(sides, width)
    fn, d1, d2 = (partial(part, form) for part in (blurs.value, blurs.slope, blurs.bend))
    return _make(fn, d1, d2, form=form)


def _elu(alpha: float, scale: float = 1.0) -> Activation:
    given = {"alpha": alpha, "scale": scale}
    d1, d2 = partial(smooth.elu_d1, **given), partial(smooth.elu_d2, **given)
    return _make(partial(smooth.elu, **given), d1, d2, kinks=(0.0,))


def _erf(rate: float) -> Activation:
    d1, d2 = partial(smooth.erf_d1, rate=rate), partial(smooth.erf_d2, rate=rate)
    return _make(partial(smooth.erf, rate=rate), d1, d2, form=ErrorFunction(rate))


def _sin(frequency: float) -> Activation:
    w = frequency
    d1, d2 = (lambda x: w * smooth.cos(x, w)), (lambda x: -w * w * smooth.sin(x, w))
    return _make(partial(smooth.sin, frequency=w), d1, d2, form=Wave(w, even=False))


def _cos(frequency: float) -> Activation:
    w = frequency
    d1, d2 = (lambda x: -w * smooth.sin(x, w)), (lambda x: -w * w * smooth.cos(x, w))
    return _make(partial(smooth.cos, frequency=w), d1, d2, form=Wave(w, even=True))


def _hermite(coefficients: tuple[float, ...], scale: float) -> Activation:
    if not isinstance(coefficients, tuple) or not coefficients:
        raise ValueError(f"coefficients must be a sequence of at least one number, got {coefficients!r}")
    number("scale", scale, low=0.0, strict=True)
    c = coefficients
    d1 = tuple(k**0.5 * c[k] / scale for k in range(1, len(c)))
    d2 = tuple(k**0.5 * d1[k] / scale for k in range(1, len(d1)))
    fn, slope, second = (partial(_hermite_value, part, scale) for part in (c, d1, d2))
    return _make(fn, slope, second, form=HermiteSeries(c, scale))


def _hermite_value(coefficients: tuple[float, ...], scale: float, x: Any) -> Any:
    return hermite.series(coefficients, x / scale)


_Factory = tuple[Callable[..., Activation], dict[str, Any]]
_FACTORIES: dict[str, _Factory] = {
    "abs": (lambda: _polygon((0.0,), (-1.0, 1.0)), {}),
    "cos": (_cos, {"frequency": 1.0}),
    "elu": (_elu, {"alpha": 1.0}),
    "erf": (_erf, {"rate": 1.0}),
    "gelu": (lambda: _make(smooth.gelu, smooth.gelu_d1, smooth.gelu_d2), {}),
    "hardtanh": (_hardtanh, {"scale": 1.0, "clip": 1.0}),
    "hermite": (_hermite, {"coefficients": (0.0, 1.0), "scale": 1.0}),
    "identity": (lambda: _polygon((), (1.0,)), {}),
    "leaky_relu": (lambda slope: _polygon((0.0,), (slope, 1.0)), {"slope": 0.01}),
    "mish": (lambda: _make(smooth.mish, smooth.mish_d1, smooth.mish_d2), {}),
    "relu": (lambda: _polygon((0.0,), (0.0, 1.0)), {}),
    "selu": (lambda: _elu(smooth.SELU_ALPHA, smooth.SELU_SCALE), {}),
    "sigmoid": (lambda: _make(smooth.sigmoid, smooth.sigmoid_d1, smooth.sigmoid_d2), {}),
    "silu": (lambda: _make(smooth.silu, smooth.silu_d1, smooth.silu_d2), {}),
    "sin": (_sin, {"frequency": 1.0}),
    "soft_slopes": (_soft_slopes, {"left": 0.0, "middle": 1.0, "right": 0.0, "knot": 1.0, "width": 0.5}),
    "softplus": (lambda: _make(smooth.softplus, smooth.sigmoid, smooth.sigmoid_d1), {}),
    "softsign": (lambda: _make(smooth.softsign, smooth.softsign_d1, smooth.softsign_d2, kinks=(0.0,)), {}),
    "tanh": (lambda: _make(smooth.tanh, smooth.sech2, smooth.tanh_d2), {}),
    "three_slope": (_three_slope, {"left": 0.0, "middle": 1.0, "right": 0.0, "knot": 1.0}),
    "two_slope": (_two_slope, {"a": 1.0, "b": 0.0, "tau": 0.0}),
}
