"""What a study is: a declared configuration, units of work, and the rows that each one gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from notsodeep.checks import integer

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Mapping[str, Value]
"""One line of a table: plain values by the name of their column"""


@dataclass(frozen=True)
class Config:
    """What every configuration declares; each study adds its own fields, plain values all of them."""

    seeds: int
    """Independent draws (of samples, networks, or both); draw ``k`` has the seed ``k``"""
    datasets: tuple[str, ...]
    """Names as :func:`notsodeep.load_dataset` has them, and ``"gmm"`` for the paper's mixture"""


@dataclass(frozen=True)
class Unit:
    """The smallest piece of a study: written down when it is done, and then never computed again."""

    at: Mapping[str, Value]
    """All that its rows depend on, but the data"""
    work: float = 1.0
    """About how many seconds one core takes"""

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that belong to :attr:`at` alone."""
        text = json.dumps(dict(self.at), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Study:
    """One experiment of the paper, or about it."""

    name: str
    title: str
    question: str
    """What it answers, in a sentence or two"""
    full: Config
    quick: Config
    """A few seconds of the same, on data that come with the library"""
    units: Callable[[Any], Sequence[Unit]]
    """From a configuration to its units, in the order of the table"""
    run: Callable[[Unit, Path | None], list[Row]]
    """From a unit and the data folder to its rows, the same whenever it is called; they repeat :attr:`Unit.at`"""
    version: int = 1
    """Raised when :attr:`run` changes what it gives: units of another version are computed anew"""
    alone: bool = False
    """Whether its units measure time, so that nothing else may run beside them"""

    def config(self, quick: bool = False, seeds: int | None = None) -> Config:
        """Return the configuration, with another number of seeds if one is given.

        Raises
        ------
        ValueError
            When ``seeds`` is not a positive integer.
        """
        chosen = self.quick if quick else self.full
        return chosen if seeds is None else replace(chosen, seeds=integer("seeds", seeds, low=1))
