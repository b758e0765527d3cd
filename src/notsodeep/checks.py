"""Argument checks shared by every level; each raises ``ValueError`` naming the argument."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def number(name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, strict: bool = False) -> float:
    """Return ``value`` as a finite float that is at least (``strict``: above) ``low`` and at most ``high``."""
    try:
        out = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    bound = f" {'>' if strict else '>='} {low:g}" if low > -math.inf else ""
    if not math.isfinite(out) or out < low or (strict and out == low):
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r}")
    if out > high:
        raise ValueError(f"{name} must be a number <= {high:g}, got {value!r}")
    return out


def integer(name: str, value: Any, *, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int that is at least ``low`` and at most ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValueError(f"{name} must be an integer >= {low}, got {value!r}")
    if high is not None and value > high:
        raise ValueError(f"{name} must be an integer <= {high}, got {value!r}")
    return int(value)


def choice(name: str, value: Any, legal: Iterable[str]) -> str:
    """Return ``value`` if it is one of the ``legal`` strings."""
    legal = tuple(legal)
    if value not in legal:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, legal))}, got {value!r}")
    return str(value)


def table(name: str, array: Any, *, at_least: int = 1) -> None:
    """Check that ``array``, a NumPy array or torch tensor, has the shape and the kind of samples ``(n, p)``."""
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (n, p), got {tuple(array.shape)}")
    real = array.dtype.kind in "fiub" if isinstance(array, np.ndarray) else not array.is_complex()
    if not real:
        raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}")
    n, p = array.shape
    if n < at_least or p < 1:
        raise ValueError(f"{name} must have n >= {at_least} samples and p >= 1 features, got {tuple(array.shape)}")


def samples(name: str, value: Any, *, at_least: int = 1) -> FloatArray:
    """Return ``value`` as a float64 array of samples ``(n, p)``, finite and without zero rows."""
    array = np.asarray(value)
    table(name, array, at_least=at_least)
    out = np.ascontiguousarray(array, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", out, out)
    if not np.isfinite(squares).all():
        _refuse_infinite(name, out)
    zero = ~(squares > 0)  # also where the squares underflow
    if zero.any():
        row = int(np.flatnonzero(zero)[0])
        raise ValueError(
            f"{name} has {int(zero.sum())} all-zero samples (the first is row {row}): "
            "their direction is undefined; remove them"
        )
    return out


def _refuse_infinite(name: str, array: FloatArray) -> None:
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise ValueError(f"{name} has NaN or infinite values ({int((~finite).sum())} samples, the first is row {row})")
    raise ValueError(
        f"{name} has values too large to square (up to {np.abs(array).max():.3g}); divide it by a constant"
    )


def labels(name: str, value: Any, n: int) -> NDArray[Any]:
    """Return ``value`` as a 1-D array of ``n`` labels of at least one class."""
    array = np.asarray(value)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label a sample, got {array.shape}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has NaN or infinite labels")
        if (array != np.round(array)).any():
            raise ValueError(f"{name} must be class labels (integers or strings), got fractional numbers")
        array = array.astype(np.int64)
    if array.dtype.kind not in "iubUS":
        raise ValueError(f"{name} must be class labels (integers or strings), got dtype {array.dtype}")
    return array
