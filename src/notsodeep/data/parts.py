"""Raw samples and labels as a file holds them, before selection and scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from notsodeep.checks import labels
from notsodeep.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Parts:
    """Training part and, when the source has one, test part of a data set; the dtype is the file's."""

    X: Array
    y: Array
    X_test: Array | None = None
    y_test: Array | None = None

    @property
    def classes(self) -> list[Any]:
        """Labels of the training part, sorted."""
        classes: list[Any] = np.unique(self.y).tolist()
        return classes


def checked_parts(origin: object, X: Any, y: Any, X_test: Any = None, y_test: Any = None) -> Parts:
    """Return the parts after checking them; samples of more than one axis (images) are flattened.

    Raises
    ------
    DataError
        When shapes disagree, a value is no number or not finite, a sample is all zero, or the test part has
        another size or other labels than the training part. ``origin`` is named in the message.
    """
    X, y = _part(origin, "", X, y)
    if X_test is None:
        return Parts(X, y)
    X_test, y_test = _part(origin, " test", X_test, y_test)
    if X_test.shape[1] != X.shape[1]:
        raise DataError(f"{origin}: test samples have {X_test.shape[1]} features, training samples {X.shape[1]}")
    strange = sorted(set(np.unique(y_test).tolist()) - set(np.unique(y).tolist()))
    if strange:
        raise DataError(f"{origin}: the test labels have {strange[0]!r}, which no training sample has")
    return Parts(X, y, X_test, y_test)


def _part(origin: object, which: str, X: Any, y: Any) -> tuple[Array, Array]:
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim < 2 or X.dtype.kind not in "fiub" or 0 in X.shape[1:]:
        raise DataError(f"{origin}:{which} samples must be real numbers of shape (n, p), got {X.dtype} {X.shape}")
    if len(X) == 0:
        raise DataError(f"{origin}:{which} samples: there are none")
    X = X.reshape(len(X), -1)
    try:
        y = labels(f"{which} labels".strip(), y, len(X))
    except ValueError as error:
        raise DataError(f"{origin}: {error}") from None
    _check_rows(origin, which, X)
    return X, y.astype(np.int64) if y.dtype.kind in "iub" else y


def _check_rows(origin: object, which: str, X: Array) -> None:
    bad = np.flatnonzero(~np.isfinite(X).all(axis=1)) if X.dtype.kind == "f" else np.empty(0, dtype=int)
    if bad.size:
        raise DataError(
            f"{origin}:{which} samples have NaN or infinite values in {bad.size} rows (the first is {bad[0]})"
        )
    zero = np.flatnonzero(~X.any(axis=1))
    if zero.size:
        raise DataError(
            f"{origin}:{which} samples are all zero in {zero.size} rows (the first is {zero[0]}): "
            "their direction is undefined; remove them"
        )
