"""Accuracy on MNIST of a DEQ, its twins and a network that is not designed, readout trained alone."""

from __future__ import annotations

import csv
import shutil
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from measuring import header, machine, row

import notsodeep as nsd
from notsodeep.experiments.centred import centred_mlp
from notsodeep.networks import TrainSettings, cached_features, class_indices, fit_ridge, one_hot, train

ACTIVATIONS, WIDTHS = ("relu", "tanh"), (1024, 4096)
MODELS = ("DEQ", "twin", "twin for the data", "centred")
READOUTS = ("sgd", "ridge")
TOLERANCE = 1e-3  # relative step of the equilibria: a tenth of the published one


class Samples(NamedTuple):
    """Training samples centred, of mean squared norm 1, test samples moved alike; classes as numbers from 0."""

    X: np.ndarray
    y: torch.Tensor
    X_test: np.ndarray
    y_test: torch.Tensor
    classes: tuple


class Run(NamedTuple):
    """One line of the file of results."""

    train: int
    test: int
    epochs: int
    activation: str
    width: int
    model: str
    seed: int
    readout: str
    accuracy: float

    @property
    def key(self):
        return tuple(map(str, self[:-1]))


def accuracy(given):
    """Train what is not in the file yet, then print means over the seeds and differences to the DEQ."""
    samples = equal_classes(given)
    done = read(given.table)
    sizes = len(samples.X), len(samples.X_test), given.epochs
    widths = given.widths or WIDTHS
    for phi in ACTIVATIONS:
        specs = models(phi, samples)
        for width, seed, name in product(widths, range(given.seeds), MODELS):
            runs = {readout: Run(*sizes, phi, width, name, seed, readout, 0.0) for readout in READOUTS}
            if all(run.key in done for run in runs.values()):
                continue
            found = accuracies(specs[name], samples, width, 10 * seed + MODELS.index(name), given)
            for readout, run in runs.items():
                finished = run._replace(accuracy=found[readout])
                append(given.table, finished)
                done[run.key] = finished.accuracy
    print(f"{machine(given.device)}; MNIST, {sizes[0]} + {sizes[1]} samples, {given.seeds} seeds.\n")
    header(
        "activation", "width", "readout", *(f"{name}, %" for name in MODELS), "DEQ - twin", "DEQ - twin for the data"
    )
    for phi, width, readout in product(ACTIVATIONS, widths, READOUTS):
        values = {
            name: 100.0 * np.array(
                [done[Run(*sizes, phi, width, name, seed, readout, 0.0).key] for seed in range(given.seeds)]
            )
            for name in MODELS
        }  # fmt: skip
        gaps = [difference(values["DEQ"], values[name]) for name in MODELS[1:3]]
        row(phi, width, readout, *(shown(each.mean(), squared_error(each)) for each in values.values()), *gaps)


def equal_classes(given):
    """Return as many training and test samples of each class as asked for: those of MNIST's own two parts."""
    data = nsd.load_dataset("mnist", data_dir=given.data_dir)
    rng = np.random.default_rng(0)
    inside, across = (
        np.concatenate([chosen(rng, part.y, label, n) for label in data.classes])
        for part, n in zip((data, data.test), given.per_class, strict=True)
    )
    X, X_test = data.X[inside], data.test.X[across]
    mean = X.mean(axis=0)
    X, X_test = X - mean, X_test - mean
    scale = np.sqrt(np.square(X).sum(axis=1).mean())
    y, y_test = (class_indices(labels, data.classes) for labels in (data.y[inside], data.test.y[across]))
    return Samples(X / scale, y, X_test / scale, y_test, data.classes)


def chosen(rng, y, label, n):
    rows = np.flatnonzero(y == label)
    if len(rows) < n:
        raise SystemExit(f"class {label} has {len(rows)} samples, not {n}: ask for fewer with --per-class")
    return np.sort(rng.permutation(rows)[:n])


def models(phi, samples):
    deq = nsd.DEQ(phi, 0.2, 0.8)
    twin = nsd.match(deq).spec
    on_data = nsd.match(deq, stats=nsd.Statistics.from_data(samples.X, samples.y.numpy())).spec
    return dict(zip(MODELS, (deq, twin, on_data, centred_mlp([phi] * twin.depth)), strict=True))


def accuracies(spec, samples, width, seed, given):
    """Return the test accuracies of one network; features and checkpoints are in a folder until it is done."""
    folder = given.table.with_suffix(".part")
    net = spec.to_torch(samples.X.shape[1], width, len(samples.classes), seed=seed).to(given.device, torch.float32)
    if isinstance(spec, nsd.DEQ):
        net.tol = TOLERANCE
    X, X_test = (
        torch.as_tensor(part, dtype=torch.float32, device=given.device) for part in (samples.X, samples.X_test)
    )
    across = cached_features(net, X_test)
    settings = TrainSettings(epochs=given.epochs, seed=seed)
    discard(folder, (spec, width, seed, settings, len(X)))
    train(net, X, samples.y.to(given.device), settings, folder=folder)
    found = {"sgd": right(across @ net.readout.weight.detach().T, samples)}
    inside = cached_features(net, X, folder / "features.npy")
    weight, bias = fit_ridge(inside, one_hot(samples.y, range(len(samples.classes))))
    found["ridge"] = right(across.cpu().double() @ weight.T + bias, samples)
    shutil.rmtree(folder)
    return found


def discard(folder, key):
    """Remove what another network left behind when it was interrupted, and write down whose folder it is."""
    owner = folder / "owner.txt"
    if not owner.exists() or owner.read_text() != repr(key):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        owner.write_text(repr(key))


def right(scores, samples):
    return float((scores.argmax(dim=1).cpu() == samples.y_test).double().mean())


def read(table):
    """Return the accuracies that are in the file, by what they are of."""
    if not table.exists():
        return {}
    with table.open(newline="") as file:
        return {
            tuple(line[name] for name in Run._fields[:-1]): float(line["accuracy"]) for line in csv.DictReader(file)
        }


def append(table, run):
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([Run._fields, run] if new else [run])


def squared_error(values):
    return values.var(ddof=1) / len(values) if len(values) > 1 else np.nan


def shown(mean, square):
    return f"{mean:.2f} ± {np.sqrt(square):.2f}"


def difference(a, b):
    """Return the difference of two means of independent values, with its standard error."""
    return f"{a.mean() - b.mean():+.2f} ± {np.sqrt(squared_error(a) + squared_error(b)):.2f}"
