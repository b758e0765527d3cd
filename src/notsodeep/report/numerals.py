"""Numbers as a reader wants them: few digits, units, no exponents where none are needed."""

from __future__ import annotations

import math

import numpy as np

_LEAST_PLAIN = 1e-4  # smaller numbers are written with an exponent


def decimal(value: float, digits: int = 6) -> str:
    """Return ``value`` with so many significant digits.

    Examples
    --------
    >>> decimal(0.2105263157), decimal(0.0), decimal(1.8970133e-16, 2), decimal(1234.5678, 2)
    ('0.210526', '0', '1.9e-16', '1235')
    """
    if not math.isfinite(value):
        return str(value)
    if value and abs(value) < _LEAST_PLAIN:
        return f"{value:.{digits - 1}e}"
    if abs(value) >= 10.0 ** (digits - 1):
        return f"{value:.0f}"
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def percent(share: float, digits: int = 2) -> str:
    """Return ``share`` in percent.

    Examples
    --------
    >>> percent(7.62e-05), percent(0.142), percent(1e-9)
    ('0.0076 %', '14 %', '1.0e-07 %')
    """
    return f"{decimal(100.0 * share, digits)} %"


def accuracy(share: float | None) -> str:
    """Return a share of right answers in percent, to a tenth of a point; ``none`` where there is none.

    Examples
    --------
    >>> accuracy(0.981), accuracy(None)
    ('98.1 %', 'none')
    """
    return "none" if share is None else f"{100.0 * share:.1f} %"


def duration(seconds: float) -> str:
    """Return a time with three digits, in s, ms or µs (written us).

    Examples
    --------
    >>> duration(0.016573), duration(2.5), duration(3.21e-5)
    ('16.6 ms', '2.5 s', '32.1 us')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{decimal(seconds / size, 3)} {unit}"
    return f"{decimal(seconds / 1e-6, 3)} us"


def bits(count: float) -> str:
    """Return an amount of memory with three digits, in bit, kbit, Mbit or Gbit.

    Examples
    --------
    >>> bits(512), bits(2_097_216), bits(35_651_584)
    ('512 bit', '2.1 Mbit', '35.7 Mbit')
    """
    for unit, size in (("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)):
        if count >= size:
            return f"{decimal(count / size, 3)} {unit}"
    return f"{decimal(count, 3)} bit"
