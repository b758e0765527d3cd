"""A labelled data set as the rest of the library takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import FloatArray, labels, samples
from notsodeep.data.scaling import Scaler


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples and labels, with the scaling that was applied and the held-out part; ``X, y = ds`` unpacks it.

    Parameters
    ----------
    X : array (n, p)
        Samples, float64, already scaled.
    y : array (n,)
        Original labels (integers or strings).
    name : str
        What the data are called in reports.
    classes : tuple, optional
        Labels that may occur, sorted; those of ``y`` when not given.
    scaler : Scaler, optional
        What turned the raw samples into ``X``; ``None`` when nothing did.
    test : Dataset, optional
        Held-out samples, scaled with the statistics of the training samples.

    Raises
    ------
    ValueError
        When shapes disagree, samples are not finite or all zero, or ``y`` has a label outside ``classes``.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> X, y = nsd.load_dataset("digits", classes=(3, 8), n=200)
    >>> X.shape, y.shape
    ((200, 64), (200,))
    """

    X: FloatArray
    y: NDArray[Any]
    name: str = "data"
    classes: tuple[Any, ...] = None  # type: ignore[assignment]  # the labels of y are filled in below
    scaler: Scaler | None = None
    test: Dataset | None = None

    def __post_init__(self) -> None:
        X = samples("X", self.X)
        y = labels("y", self.y, len(X))
        present = np.unique(y).tolist()
        classes = tuple(present if self.classes is None else self.classes)
        unknown = [label for label in present if label not in classes]
        if unknown:
            raise ValueError(f"y has the label {unknown[0]!r}, which is not among the classes {classes}")
        for field, value in (("X", X), ("y", y), ("classes", classes)):
            object.__setattr__(self, field, value)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.X, self.y))

    def __repr__(self) -> str:
        test = "none" if self.test is None else self.test.n
        return f"Dataset({self.name!r}, n={self.n}, p={self.p}, classes={self.classes}, test={test})"

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.X)

    @property
    def p(self) -> int:
        """Dimension of a sample."""
        return int(self.X.shape[1])

    @property
    def mean_squared_norm(self) -> float:
        """Mean of ``|x_i|^2``: what ``tau0**2`` of a spec is compared with."""
        return float(np.vdot(self.X, self.X)) / self.n
