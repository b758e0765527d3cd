"""Real data by name or from a file: select classes, draw a training subset, hold out a test set, scale."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from notsodeep.checks import choice, integer
from notsodeep.data.catalogue import CATALOGUE, Entry
from notsodeep.data.dataset import Dataset
from notsodeep.data.idx import read_idx_gz
from notsodeep.data.parts import Parts, checked_parts
from notsodeep.data.scaling import MODES, Scaler
from notsodeep.data.seeds import generator
from notsodeep.data.storage import data_folder, read_file
from notsodeep.data.tables import SUFFIXES, read_npz, read_table
from notsodeep.errors import DataError
from notsodeep.files import StrPath

_HELD_OUT = 5  # one sample in so many, where no test part exists and n is not given


def load_dataset(
    name: StrPath,
    classes: Iterable[Any] | None = None,
    n: int | None = None,
    seed: int | np.random.Generator = 0,
    data_dir: StrPath | None = None,
    scale: str = "mean",
    n_test: int | None = None,
) -> Dataset:
    """Return a scaled data set with a held-out test part. Nothing is downloaded: see :func:`fetch`.

    Parameters
    ----------
    name : str or path
        ``"digits"`` (comes with scikit-learn), ``"mnist"``, ``"fashion_mnist"``, ``"cifar10_features"``, or a
        file: ``.npz`` with ``X, y`` or ``X_train, y_train`` (and ``X_test, y_test``), ``.npy`` or ``.csv`` with
        the label in the last column (csv: header found by itself, labels may be text).
    classes : iterable of labels, optional
        Keep these classes, at least two.
    n : int, optional
        Size of the training set, drawn at random. With one seed, a smaller training set is a part of a
        larger one. When not given: the whole official training set in file order, or four fifths at
        random of data without an official test part.
    seed : int or numpy.random.Generator
        Source of all randomness.
    data_dir : path, optional
        Data folder; else the variable ``NOTSODEEP_DATA``, else the user's cache folder. Files are
        expected in ``data_dir/<name>/`` or directly in ``data_dir``, and checked by SHA-256.
    scale : str
        ``"mean"``: centred, mean squared norm 1; ``"sample"``: centred, then each norm 1. Both use the
        mean of the training samples, for the test samples too.
    n_test : int, optional
        At most so many test samples, drawn at random; 0 for none. The test samples are the official ones;
        where there are none, those that ``n`` left over, or one fifth of all when ``n`` is not given.

    Returns
    -------
    Dataset
        Training samples with the original labels; ``.test`` is a Dataset or ``None``.

    Raises
    ------
    ValueError
        When the name, a class, ``scale``, ``n``, ``n_test`` or ``seed`` is illegal, or fewer than two classes are left.
    DataError
        When a file is missing, corrupt, or not usable as data.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> nsd.load_dataset("digits", classes=(6, 8), n=200)
    Dataset('digits', n=200, p=64, classes=(6, 8), test=155)
    """
    scale = choice("scale", scale, MODES)
    n = None if n is None else integer("n", n, low=2)
    n_test = None if n_test is None else integer("n_test", n_test, low=0)
    rng = generator(seed)
    label, parts = _read(name, data_dir)
    parts = _keep(parts, label, classes)
    known = tuple(parts.classes)
    parts = _split(parts, label, n, n_test, rng)
    try:
        return _scaled(parts, label, known, scale)
    except ValueError as error:
        raise DataError(f"{label}: {error}") from error


def _read(name: StrPath, data_dir: StrPath | None) -> tuple[str, Parts]:
    if isinstance(name, str) and name in CATALOGUE:
        return name, _read_entry(CATALOGUE[name], data_dir)
    if isinstance(name, (str, os.PathLike)) and Path(name).suffix.lower() in SUFFIXES:
        path = Path(name).expanduser()
        return path.stem, read_table(path)
    raise ValueError(
        f"unknown data set {name!r}; legal: {', '.join(CATALOGUE)}, or a file that ends in {', '.join(SUFFIXES)}"
    )


def _read_entry(entry: Entry, data_dir: StrPath | None) -> Parts:
    if entry.kind == "embedded":
        from sklearn.datasets import load_digits

        return checked_parts(entry.name, *load_digits(return_X_y=True))
    folder = data_folder(data_dir)
    files = [read_file(entry, file, folder) for file in entry.files]
    if entry.kind == "npz":
        return read_npz(*files[0])
    return checked_parts(entry.name, *(read_idx_gz(path, content) for path, content in files))


def _keep(parts: Parts, label: str, classes: Iterable[Any] | None) -> Parts:
    known = parts.classes
    if classes is None:
        if len(known) < 2:
            raise DataError(f"{label}: holds the one class {known[0]!r}; two or more are needed")
        return parts
    chosen = _chosen(known, label, classes)
    if len(chosen) < 2:
        raise ValueError(f"classes must name at least two different classes, got {chosen}; legal: {known}")
    rows = np.isin(parts.y, chosen)
    kept = Parts(parts.X[rows], parts.y[rows])
    if parts.X_test is None or parts.y_test is None:
        return kept
    rows = np.isin(parts.y_test, chosen)
    return replace(kept, X_test=parts.X_test[rows], y_test=parts.y_test[rows]) if rows.any() else kept


def _chosen(known: list[Any], label: str, classes: Iterable[Any]) -> list[Any]:
    if isinstance(classes, (str, bytes)) or not isinstance(classes, Iterable):
        raise ValueError(f"classes must be a sequence of labels, got {classes!r}; legal: {known}")
    chosen = [value.item() if isinstance(value, np.generic) else value for value in classes]
    strange = [value for value in chosen if value not in known]
    if strange:
        raise ValueError(f"classes has {strange[0]!r}, which {label} does not have; legal: {known}")
    return sorted(set(chosen))


def _split(parts: Parts, label: str, n: int | None, n_test: int | None, rng: np.random.Generator) -> Parts:
    """Draw the training rows, and the test rows from the official test part or from the rest."""
    total = len(parts.X)
    if total < 2 or (n is not None and n > total):
        raise ValueError(f"n must be between 2 and the {total} samples that {label} has of these classes, got {n}")
    order = rng.permutation(total)
    if parts.X_test is not None and parts.y_test is not None:
        rows: Any = slice(None) if n is None else order[:n]
        pool, pool_labels, held = parts.X_test, parts.y_test, np.arange(len(parts.X_test))
        if n_test is not None:
            held = rng.permutation(held)[:n_test]
    else:
        rows, held = np.split(order, [total - total // _HELD_OUT if n is None else n])
        pool, pool_labels, held = parts.X, parts.y, held[:n_test]
    train = Parts(parts.X[rows], parts.y[rows])
    if len(train.classes) < 2:
        raise ValueError(f"the {len(train.X)} training samples drawn hold one class only; raise n or change seed")
    return replace(train, X_test=pool[held], y_test=pool_labels[held]) if held.size else train


def _scaled(parts: Parts, label: str, known: tuple[Any, ...], scale: str) -> Dataset:
    scaler = Scaler.fit(parts.X, scale)
    test = None
    if parts.X_test is not None and parts.y_test is not None:
        test = Dataset(scaler.apply(parts.X_test, "the test part"), parts.y_test, label, known, scaler)
    return Dataset(scaler.apply(parts.X, "the training part"), parts.y, label, known, scaler, test)
