"""How the rows of a study are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from notsodeep.experiments.reproduction.study import Row
from notsodeep.report.table import Table


@dataclass(frozen=True)
class Presentation:
    """Functions of the rows of a study, as its table has them."""

    findings: Callable[[Sequence[Row]], Sequence[str]]
    """Sentences with the numbers that answer the question of the study, and say where a pattern does not hold"""
    tables: Callable[[Sequence[Row]], Sequence[Table]]
    """Ours beside the published values, where there are any"""
    figures: Callable[[Sequence[Row]], Mapping[str, Figure]]
    """By name, which is that of a file without its ending; the first one shows the main result"""
