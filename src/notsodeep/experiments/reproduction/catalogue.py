"""The studies by name. A study is imported when it is asked for: a worker needs no other."""

from __future__ import annotations

from importlib import import_module

from notsodeep.checks import choice
from notsodeep.experiments.reproduction.study import Study

NAMES = (
    "spectrum",
    "error-vs-p",
    "finite-width",
    "matching",
    "accuracy",
    "cost",
    "kernel-regression",
    "dimension-and-classes",
)
"""In the order of the report"""


def study(name: str) -> Study:
    """Return a study.

    Raises
    ------
    ValueError
        When there is none of this name.
    """
    choice("name", name, NAMES)
    found: Study = import_module(f"{__package__}.{module_name(name)}").STUDY
    return found


def module_name(name: str) -> str:
    """Return what the files of a study are called.

    Examples
    --------
    >>> module_name("error-vs-p")
    'error_vs_p'
    """
    return name.replace("-", "_")
