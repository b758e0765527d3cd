"""Exact infinite-width kernels. The package can be called: ``kernels(spec, X)`` gives both kernels at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

_HOME = dict.fromkeys(("ck", "diagonals", "kernels", "ntk", "solve", "tiles"), "api") | {"sphere": "spherical"}
__all__ = ["ck", "diagonals", "ntk", "solve", "sphere", "tiles"]


def __getattr__(name: str) -> Any:
    """Import the functions, and torch with them, when one is first asked for."""
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Callable(ModuleType):
    """``nsd.kernels`` names this package and is also a function of the public interface."""

    def __call__(
        self, spec: Any, X: Any, Y: Any = None, trainable: str | Iterable[str] = "all", **options: Any
    ) -> tuple[Any, Any]:
        """Return ``(ck, ntk)``: see :func:`notsodeep.kernels.api.kernels`."""
        from notsodeep.kernels import api

        return api.kernels(spec, X, Y, trainable, **options)


sys.modules[__name__].__class__ = _Callable
