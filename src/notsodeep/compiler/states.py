"""Samples to fit on and samples held out, with the states of the DEQ at them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from notsodeep.checks import FloatArray
from notsodeep.compiler.subject import Subject
from notsodeep.errors import ConvergenceError
from notsodeep.networks import cached_features

BATCH = 1024
"""Samples that go through a network at once"""


@dataclass(frozen=True)
class Part:
    """Some of the samples at which the DEQ has an equilibrium."""

    rows: torch.Tensor
    """Their places among all samples"""
    X: torch.Tensor
    """As the DEQ reads them, in its precision, on its device"""
    states: torch.Tensor
    """``(n, m)``"""
    unconverged: int
    """Samples that were left out"""


def split(n: int, holdout: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of samples to fit on and of samples held out, at least two of each.

    Examples
    --------
    >>> fit, held = split(10, 0.2, seed=0)
    >>> len(fit), len(held), sorted([*fit.tolist(), *held.tolist()]) == list(range(10))
    (8, 2, True)
    """
    order = np.random.default_rng(seed).permutation(n)
    count = min(max(round(holdout * n), 2), n - 2)
    return np.sort(order[count:]), np.sort(order[:count])


def states_at(subject: Subject, X: FloatArray, rows: NDArray[np.int64], on_failure: str, path: Path | None) -> Part:
    """Return the samples ``X[rows]`` with their states; with ``on_failure="return"`` those that have one.

    Raises
    ------
    ConvergenceError
        When a sample has no equilibrium and ``on_failure`` is ``"raise"``, or none of them has.
    """
    batch = torch.from_numpy(X[rows]).to(subject.like)
    places = torch.from_numpy(rows)
    if on_failure == "raise":
        return Part(places, batch, cached_features(subject.net, batch, path, batch_size=BATCH), 0)
    solved = [subject.net.solve(some, on_failure="return") for some in batch.split(BATCH)]
    good = torch.cat([record.residuals <= record.tolerance for _, record in solved])
    if int(good.sum()) < 2:
        raise ConvergenceError(f"the DEQ has no equilibrium at {len(good) - int(good.sum())} of {len(good)} samples")
    states = torch.cat([Z for Z, _ in solved])[good]
    return Part(places[good.cpu()], batch[good], states, int((~good).sum()))


def features_in_batches(net: Any, X: torch.Tensor) -> Any:
    """Yield features of the samples, batch by batch, without gradient."""
    for some in X.split(BATCH):
        with torch.no_grad():
            yield net.features(some)
