"""The :class:`Activation` record: a function, its derivatives, and where it is not smooth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from notsodeep.activations.backend import is_tensor
from notsodeep.activations.elementwise import Elementwise, check_derivative, differentiate
from notsodeep.activations.forms import Form
from notsodeep.checks import number


@dataclass(frozen=True)
class Activation:
    """An activation function that NumPy arrays and torch tensors can be given to.

    Parameters
    ----------
    fn : callable
        Elementwise function of a NumPy array or of a torch tensor (one of them is enough).
    derivative : callable, optional
        Its derivative. Without it, torch differentiates ``fn``, or, where ``fn`` takes NumPy
        arrays only, a piecewise Legendre interpolant does (about 1e-12 instead of 1e-15).
    kinks : sequence of float
        Every point where ``fn`` or any of its derivatives jumps. A forgotten kink costs
        accuracy and is warned about when integrals of the function are taken.
    second_derivative : callable, optional
        Its second derivative between the kinks; sharpens moments at very small scales.

    Raises
    ------
    ValueError
        When ``fn`` is not elementwise, gives NaN or infinity near 0, or a kink is not finite.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> bent = nsd.Activation(lambda x: np.abs(x) ** 3, kinks=(0.0,))
    >>> float(bent(2.0)), round(float(bent.derivative(2.0)), 9)
    (8.0, 12.0)
    """

    fn: Callable[[Any], Any]
    derivative: Callable[[Any], Any] = None  # type: ignore[assignment]  # made below when not given
    kinks: tuple[float, ...] = ()
    second_derivative: Callable[[Any], Any] | None = None
    offset: float = field(default=0.0, kw_only=True)
    name: str = field(default="custom", kw_only=True)
    params: tuple[tuple[str, Any], ...] = field(default=(), kw_only=True)
    form: Form | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.kinks, str) or not np.iterable(self.kinks):
            raise ValueError(f"kinks must be a sequence of numbers, such as (0.0,), got {self.kinks!r}")
        kinks = tuple(sorted({number("kinks", k) for k in self.kinks}))
        put = object.__setattr__
        put(self, "kinks", kinks)
        put(self, "offset", number("offset", self.offset))
        put(self, "fn", Elementwise.of("fn", self.fn, kinks))
        given = self.derivative is not None
        slope = self.derivative if given else differentiate(self.fn, kinks)
        put(self, "derivative", Elementwise.of("derivative", slope, kinks))
        if given and not isinstance(slope, Elementwise):
            check_derivative("derivative", self.derivative, self.fn, kinks)
        if self.second_derivative is not None:
            second = Elementwise.of("second_derivative", self.second_derivative, kinks)
            if not isinstance(self.second_derivative, Elementwise):
                check_derivative("second_derivative", second, self.derivative, kinks)
            put(self, "second_derivative", second)

    def __call__(self, x: Any) -> Any:
        """Return ``fn(x) + offset``, an array of the kind that ``x`` is."""
        y = self.fn(x if is_tensor(x) else np.asarray(x, dtype=np.float64))
        return y + self.offset if self.offset else y

    def __repr__(self) -> str:
        inside = [f"{k}={v!r}" for k, v in self.params]
        if self.offset:
            inside.append(f"offset={self.offset:.6g}")
        return f"{self.name}({', '.join(inside)})"

    def shifted(self, by: float) -> Activation:
        """Return the activation ``x -> self(x) + by``."""
        return replace(self, offset=math.fsum((self.offset, by)))

    @property
    def is_registered(self) -> bool:
        """Whether the name and the parameters are enough to build this activation again."""
        from notsodeep.activations.registry import activation, names

        return self.name in names() and activation(self.name, **dict(self.params)).fn == self.fn

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copy and pickle a registered activation by its name."""
        if self.is_registered:
            return _restore, (self.name, self.params, self.offset)
        return super().__reduce_ex__(protocol)


def _restore(name: str, params: tuple[tuple[str, Any], ...], offset: float) -> Activation:
    from notsodeep.activations.registry import activation

    return replace(activation(name, **dict(params)), offset=offset)
