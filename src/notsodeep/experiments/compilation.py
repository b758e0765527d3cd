"""A DEQ from a file, or a freshly drawn one, compiled on samples of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from notsodeep.compiler import Compiled
from notsodeep.compiler import compile as compile_deq
from notsodeep.compiler.compiling import CACHED, STAGES
from notsodeep.compiler.options import Options
from notsodeep.data import Dataset
from notsodeep.files import StrPath
from notsodeep.networks import DEQNetwork, load
from notsodeep.spec import DEQ

__all__ = ["STAGES", "CompilationResult", "check_fit", "drawn_deq", "load_deq", "remove_states", "run_compilation"]

_WIDTH = 512  # of a DEQ that is drawn
_SEED = 1


@dataclass(frozen=True)
class CompilationResult:
    """Everything that the tables and the files of a compilation are made of."""

    source: str
    """Where the DEQ comes from"""
    net: DEQNetwork = field(repr=False)
    options: Options
    samples: Dataset
    compiled: Compiled


def load_deq(path: StrPath) -> DEQNetwork:
    """Return the DEQ in a file that :func:`notsodeep.save` wrote.

    Raises
    ------
    DataError
        When the file cannot be read.
    ValueError
        When it holds another network.
    """
    net = load(path)
    if not isinstance(net, DEQNetwork):
        raise ValueError(
            f"{path} must hold a DEQNetwork to compile, got {type(net).__name__}, which is explicit already"
        )
    return net


def drawn_deq(samples: Dataset) -> DEQNetwork:
    """Return a ReLU DEQ as it is drawn, to see what a compilation gives."""
    return DEQNetwork(
        DEQ("relu"), samples.p, _WIDTH, len(samples.classes), seed=_SEED, dtype=torch.float32, max_iter=300
    )


def check_fit(net: DEQNetwork, samples: Dataset) -> None:
    """Raise ``ValueError`` when the samples are not what the network reads."""
    if net.in_features != samples.p:
        raise ValueError(
            f"the network reads samples of {net.in_features} features, and those of {samples.name} have {samples.p}"
        )


def run_compilation(
    net: DEQNetwork,
    source: str,
    samples: Dataset,
    options: Options,
    states: Path | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> CompilationResult:
    """Compile a DEQ on labelled samples, part of which are held out.

    ``states`` is an existing folder for the states of the DEQ, from which an interrupted run goes on; ``progress`` is
    told each stage (:data:`STAGES`) before it starts.

    Raises
    ------
    ValueError
        As :func:`notsodeep.compile`.
    ConvergenceError
        When an equilibrium was not reached or no network was found.
    """
    given: dict[str, Any] = vars(options)
    compiled = compile_deq(net, samples.X, samples.y, **given, cache=states, progress=progress)
    return CompilationResult(source, net, options, samples, compiled)


def remove_states(folder: Path) -> None:
    """Remove the states that a compilation kept in ``folder``, and the folder if nothing else is in it."""
    for name in CACHED:
        for path in (folder / name, folder / f"{name}.json"):
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
