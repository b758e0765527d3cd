"""Make one user function serve NumPy arrays and torch tensors, and differentiate it if need be."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from notsodeep.activations.backend import is_tensor
from notsodeep.activations.interpolant import derivative_by_interpolation
from notsodeep.errors import SmoothnessWarning

_PROBE = np.array([-1.37, -0.41, 0.29, 1.13])


@dataclass(frozen=True)
class Elementwise:
    """A checked elementwise function and the kinds of array that it takes by itself."""

    call: Callable[[Any], Any]
    takes_numpy: bool
    takes_torch: bool

    @classmethod
    def of(cls, name: str, call: Callable[[Any], Any], kinks: tuple[float, ...]) -> Elementwise:
        """Probe ``call`` and wrap it; raise ``ValueError`` if it takes neither kind of array."""
        if isinstance(call, Elementwise):
            return call
        if not callable(call):
            raise ValueError(f"{name} must be callable, got {call!r}")
        probe = np.setdiff1d(_PROBE, kinks)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a probe is not the user's input ...
            warnings.simplefilter("always", SmoothnessWarning)  # ... but this is about the function itself
            value, why = _try_numpy(call, probe)
            tensor_value = _try_torch(call, probe)
            seen = value if value is not None else tensor_value
            if seen is None:
                raise ValueError(f"{name} must map an array to an array of the same shape: {why}")
            if not np.isfinite(seen).all():
                raise ValueError(f"{name} gives NaN or infinity at {probe.tolist()}: {seen.tolist()}")
            alone = _try_numpy(call, probe[:1])[0] if value is not None else _try_torch(call, probe[:1])
        if alone is None or not np.isclose(alone[0], seen[0], rtol=1e-6, atol=1e-9):
            raise ValueError(f"{name} must act on each element by itself: at {probe[0]} it depends on the others")
        return cls(call, value is not None, tensor_value is not None)

    def __call__(self, x: Any) -> Any:
        """Return the function of ``x``, an array of the kind that ``x`` is, tensors of its precision."""
        if is_tensor(x):
            x = x if x.is_floating_point() else 1.0 * x
            return self.call(x).to(x.dtype) if self.takes_torch else _numpy_on_tensor(self.call, x)
        x = np.asarray(x, dtype=np.float64)
        if self.takes_numpy:
            return np.asarray(self.call(x), dtype=np.float64)[()]
        import torch

        with torch.no_grad():
            return self.call(torch.from_numpy(np.atleast_1d(x))).numpy().reshape(x.shape)[()]


def differentiate(fn: Callable[[Any], Any], kinks: tuple[float, ...]) -> Callable[[Any], Any]:
    """Return the derivative of ``fn``: by autograd when it takes tensors, else by interpolation."""
    call = fn.call if isinstance(fn, Elementwise) else fn
    if not callable(call):
        raise ValueError(f"fn must be callable, got {call!r}")
    if _try_torch(call, _PROBE) is not None:
        return lambda x: _autograd(call, x)
    return derivative_by_interpolation(call, kinks)


def check_derivative(
    name: str, slope: Callable[[Any], Any], fn: Callable[[Any], Any], kinks: tuple[float, ...]
) -> None:
    """Raise ``ValueError`` when ``slope`` is plainly not the derivative of ``fn`` at a few points off the kinks."""
    x = np.array([p for p in _PROBE if all(abs(p - k) > 1e-3 for k in kinks)])
    got, want = slope(x), (fn(x + 1e-5) - fn(x - 1e-5)) / 2e-5
    wrong = np.abs(got - want) > 1e-3 * (1.0 + np.abs(want))
    if wrong.any():
        raise ValueError(
            f"{name} is {got[wrong][0]:.6g} at x = {x[wrong][0]:g}, central differences give {want[wrong][0]:.6g}"
        )


def _try_numpy(call: Callable[[Any], Any], probe: Any) -> tuple[Any, str]:
    try:
        value = np.asarray(call(probe.copy()))
    except Exception as error:  # a user's function may fail in any way
        return None, f"{type(error).__name__}: {error}"
    if value.shape != probe.shape or value.dtype.kind not in "fiub":
        return None, f"an array of shape {probe.shape} came back with shape {value.shape}, dtype {value.dtype}"
    return value.astype(np.float64), ""


def _try_torch(call: Callable[[Any], Any], probe: Any) -> Any:
    import torch

    x = torch.from_numpy(probe.copy()).requires_grad_()
    try:
        value = call(x)
        if not isinstance(value, torch.Tensor) or value.shape != x.shape or not value.dtype.is_floating_point:
            return None
        return value.detach().numpy()
    except Exception:  # NumPy-only functions refuse tensors in many ways
        return None


def _autograd(call: Callable[[Any], Any], x: Any) -> Any:
    import torch

    if not is_tensor(x):
        return _autograd(call, torch.from_numpy(np.array(x, dtype=np.float64))).detach().numpy()
    with torch.enable_grad():
        leaf = x if x.requires_grad else x.detach().requires_grad_()
        value = call(leaf)
        if not value.requires_grad:
            return torch.zeros_like(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf, create_graph=x.requires_grad)
    return slope


def _numpy_on_tensor(call: Callable[[Any], Any], x: Any) -> Any:
    import torch

    if x.requires_grad:
        raise TypeError(
            "this activation takes NumPy arrays only, so torch cannot differentiate through it; "
            "write it with torch functions to train with it"
        )
    value = call(x.detach().cpu().numpy().astype(np.float64))
    return torch.as_tensor(np.asarray(value), dtype=x.dtype, device=x.device)
