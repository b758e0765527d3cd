"""A table of text, as the terminal and the page show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Text in rows and columns."""

    title: str
    header: tuple[str, ...]
    """Head of the column of labels, then of each column of cells"""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Label and cells of each row"""
    notes: tuple[str, ...] = ()
    """Sentences that belong below the table"""
