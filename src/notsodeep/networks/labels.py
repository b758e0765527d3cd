"""Class labels as indices and as targets of a regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from notsodeep.checks import labels


def class_indices(y: Any, classes: Sequence[Any] | None = None) -> torch.Tensor:
    """Return the place of each label of ``y (n,)`` among ``classes``, as int64 numbers ``(n,)``.

    Without ``classes``, they are the labels that ``y`` has, sorted.

    Raises
    ------
    ValueError
        When ``y`` are no labels, ``classes`` repeat themselves, or a label is none of them.

    Examples
    --------
    >>> class_indices([8, 6, 8], classes=(6, 7, 8))
    tensor([2, 0, 2])
    >>> class_indices(["dog", "cat"])
    tensor([1, 0])
    """
    given = labels("y", y.cpu() if isinstance(y, torch.Tensor) else y, len(y))
    known = np.unique(given) if classes is None else labels("classes", classes, len(classes))
    if len(known) < 1 or len(np.unique(known)) < len(known):
        raise ValueError(f"classes must be different labels, at least one, got {classes!r}")
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known[order], given), len(known) - 1)]
    strange = given[known[place] != given]
    if len(strange):
        raise ValueError(f"y must be labels among {tuple(known.tolist())}, got {strange[0].item()!r}")
    return torch.from_numpy(place.astype(np.int64))


def one_hot(y: Any, classes: Sequence[Any]) -> torch.Tensor:
    """Return float64 targets ``(n, len(classes))``: 1 in the column of the sample's class, else 0.

    Raises
    ------
    ValueError
        As :func:`class_indices`.

    Examples
    --------
    >>> one_hot(["cat", "dog"], classes=("cat", "dog"))
    tensor([[1., 0.],
            [0., 1.]], dtype=torch.float64)
    """
    return torch.eye(len(classes), dtype=torch.float64)[class_indices(y, classes)]
