"""Activations as formulas."""

from __future__ import annotations

from typing import Any

from notsodeep.activations import Activation
from notsodeep.report.numerals import decimal

_DIGITS = 4  # of what has many parameters; the spec has all digits
_NOTHING = 1e-6  # an offset that rounding leaves, or the tolerance of the search


def formula(phi: Activation) -> str:
    """Return an activation as a formula of ``x``, or its name and parameters.

    Slopes are listed from left to right; ``h_k`` is the Hermite polynomial of degree k, of unit variance.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> formula(nsd.activation("two_slope", a=1.5, b=0.25, tau=1.0))
    'max(1.5 x, 0.25 x) - 0.498678'
    >>> formula(nsd.activation("soft_slopes", left=-0.1, middle=0.5, right=1, knot=0.6, width=0.7).shifted(-0.25))
    'slopes -0.1, 0.5, 1, knots at -0.6, 0.6, blurred by 0.7; - 0.25'
    >>> formula(nsd.activation("hermite", coefficients=(0.0, 0.5, 0.0, -0.25)))
    '0.5 h_1(x) - 0.25 h_3(x)'
    """
    given = dict(phi.params)
    sign, size = "-" if phi.offset < 0 else "+", abs(phi.offset)
    if phi.name in ("three_slope", "soft_slopes"):
        return _slopes(given) + (f"; {sign} {decimal(size, _DIGITS)}" if size > _NOTHING else "")
    body = _WRITTEN[phi.name](given) if phi.name in _WRITTEN else _named(phi.name, given)
    return f"{body} {sign} {decimal(size)}" if size else body


def _slopes(given: dict[str, Any]) -> str:
    slopes = ", ".join(decimal(given[name], _DIGITS) for name in ("left", "middle", "right"))
    knot = decimal(given["knot"], _DIGITS)
    blur = f", blurred by {decimal(given['width'], _DIGITS)}" if "width" in given else ""
    return f"slopes {slopes}, knots at -{knot}, {knot}{blur}"


def _two_slope(given: dict[str, Any]) -> str:
    return f"max({decimal(given['a'])} x, {decimal(given['b'])} x)"


def _hardtanh(given: dict[str, Any]) -> str:
    clip = decimal(given["clip"])
    return f"{decimal(given['scale'])} clip(x, -{clip}, {clip})"


def _hermite(given: dict[str, Any]) -> str:
    inside = "x" if given["scale"] == 1.0 else f"x / {decimal(given['scale'], _DIGITS)}"
    terms = [(c, f"{decimal(abs(c), _DIGITS)} h_{k}({inside})") for k, c in enumerate(given["coefficients"]) if c]
    written = "".join(f" {'-' if c < 0 else '+'} {term}" for c, term in terms) or " + 0"
    return written[3:] if written.startswith(" +") else f"-{written[3:]}"


def _named(name: str, given: dict[str, Any]) -> str:
    values = {key: decimal(value) if isinstance(value, float) else str(value) for key, value in given.items()}
    return f"{name}(x{''.join(f', {key}={value}' for key, value in values.items())})"


_WRITTEN = {"two_slope": _two_slope, "hardtanh": _hardtanh, "hermite": _hermite}
