"""Train a network: the settings are checked, the right inputs chosen, an earlier run is gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from notsodeep.errors import DataError
from notsodeep.files import StrPath
from notsodeep.networks.base import FiniteNetwork, as_batch
from notsodeep.networks.feature_cache import cached_features
from notsodeep.networks.fingerprint import fingerprint
from notsodeep.networks.storage import describe
from notsodeep.networks.training.checkpoint import REMEDY, Checkpoint
from notsodeep.networks.training.loop import Loop
from notsodeep.networks.training.optimizers import make_optimizer
from notsodeep.networks.training.records import TrainResult
from notsodeep.networks.training.samples import Samples, Targets, checked_targets, split
from notsodeep.networks.training.settings import TrainSettings
from notsodeep.networks.training.state import State, unpack

CHECKPOINT, FEATURES = "checkpoint.safetensors", "features.npy"
FILES = (CHECKPOINT, FEATURES, f"{FEATURES}.json")
"""What a run writes into its folder"""
_NOTHING: Callable[[str, int, int], None] = lambda what, done, total: None  # noqa: E731


def train(
    net: FiniteNetwork,
    X: Any,
    y: Any,
    settings: TrainSettings | None = None,
    *,
    folder: StrPath | None = None,
    restart: bool = False,
    progress: Callable[[str, int, int], None] = _NOTHING,
) -> TrainResult:
    """Train weights of a network, in place, on samples with targets.

    Where the readout alone is trained, the features are computed once (:func:`notsodeep.networks.cached_features`).

    Parameters
    ----------
    net : DEQNetwork, ExplicitNetwork or ParallelNetwork
        The network.
    X : torch.Tensor or array_like
        Samples ``(n, in_features)``.
    y : torch.Tensor or array_like
        Classes ``(n,)``, integers from 0 to ``out_features - 1`` (:func:`notsodeep.networks.class_indices` makes them
        of labels); for the loss ``"mse"`` also real targets ``(n, out_features)``.
    settings : TrainSettings, optional
        How to train; without, the readout by SGD as in arXiv:2402.02697.
    folder : str or path-like, optional
        Folder for checkpoints and features, made if need be. A run that was interrupted, killed even, goes on where it
        was when it is called again with the same network, samples and settings, and ends with the same weights, on
        the CPU bit for bit. Only ``epochs`` may be other than it was, not less than the folder has behind it.
    restart : bool
        Begin anew, whatever the folder holds. Features that are of these weights and samples are used again.
    progress : callable, optional
        Called with words, the number of batches done and of all batches after each of them.

    Returns
    -------
    TrainResult
        The history of the epochs.

    Raises
    ------
    ValueError
        When an argument is illegal.
    DataError
        When the folder holds the checkpoint of another run, or a damaged one.
    ConvergenceError
        When the loss is no longer finite, or the network does not reach its equilibrium or its gradient.

    Notes
    -----
    After any error or interrupt, the network has the weights that it had before; the folder keeps the last good
    checkpoint.

    Examples
    --------
    >>> import torch
    >>> from notsodeep.networks import ExplicitNetwork, TrainSettings, train
    >>> from notsodeep.spec import MLP, Layer
    >>> net = ExplicitNetwork(MLP((Layer("tanh"),)), in_features=2, width=32, out_features=2)
    >>> X = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    >>> result = train(net, X, (X[:, 0] > 0).long(), TrainSettings(epochs=20))
    >>> len(result.history), result.history[-1].accuracy > 0.9
    (20, True)
    """
    settings = TrainSettings() if settings is None else settings
    if not isinstance(settings, TrainSettings):
        raise ValueError(f"settings must be TrainSettings, got {settings!r}")
    if not isinstance(net, FiniteNetwork):
        raise ValueError(f"net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got {type(net).__name__}")
    weight = next(net.parameters())
    batch = as_batch(X, net.in_features, weight).detach()
    targets = checked_targets(y, len(batch), settings.loss, net.out_features, weight)
    rows, held_out = split(len(batch), settings.validation, settings.seed)
    optimizer = make_optimizer(net, settings)
    checkpoint, features = None, None
    if folder is not None:
        checkpoint, features = _prepared(Path(folder), _identity(net, batch, targets, settings))
        if restart:
            checkpoint.discard()
    with _only(net, optimizer) as weights:
        state = State() if checkpoint is None else _resumed(checkpoint, weights, optimizer, settings.epochs)
        module: torch.nn.Module = net
        inputs = batch
        if _readout_alone(net, weights) and not state.finished(settings):
            module, inputs = net.readout, _features(net, batch, features, restart, progress)
        samples = Samples(inputs, targets, weight.device)
        Loop(module, weights, optimizer, samples, rows, held_out, settings, checkpoint, progress).run(state)
        with torch.no_grad():
            for name, best in state.best.items():
                weights[name].copy_(best)
    return TrainResult(settings, tuple(state.history), state.best_epoch or len(state.history))


def _readout_alone(net: FiniteNetwork, weights: Mapping[str, torch.nn.Parameter]) -> bool:
    readout = {id(weight) for weight in net.readout.parameters()}
    return all(id(weight) in readout for weight in weights.values())


def _features(
    net: FiniteNetwork,
    batch: torch.Tensor,
    path: Path | None,
    restart: bool,
    progress: Callable[[str, int, int], None],
) -> torch.Tensor:
    def told(done: int, total: int) -> None:
        progress("computing features", done, total)

    try:
        return cached_features(net, batch, path, progress=told)
    except DataError:
        if not restart or path is None:
            raise
    for name in reversed(FILES[1:]):  # the record first: without it, a table is nothing
        (path.parent / name).unlink(missing_ok=True)
    return cached_features(net, batch, path, progress=told)


def _prepared(folder: Path, identity: dict[str, Any]) -> tuple[Checkpoint, Path]:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, or a path where one can be made, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    return Checkpoint(folder / CHECKPOINT, identity), folder / FEATURES


def _identity(net: FiniteNetwork, batch: torch.Tensor, targets: Targets, settings: TrainSettings) -> dict[str, Any]:
    decisive = {name: value for name, value in asdict(settings).items() if name != "epochs"}
    return {
        "settings": decisive,
        "network": fingerprint(describe(net), net.state_dict()),
        "data": fingerprint(None, {"inputs": batch, "targets": targets.values}),
    }


def _resumed(
    checkpoint: Checkpoint, weights: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, epochs: int
) -> State:
    found = checkpoint.read()
    if found is None:
        return State()
    try:
        state = unpack(*found, weights, optimizer)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"the checkpoint does not fit the network ({type(error).__name__}: {error})") from error
    behind = len(state.history) + (state.step > 0)
    if behind > epochs:
        raise DataError(f"the checkpoint is of epoch {behind} already, and epochs is {epochs}: {REMEDY}")
    return state


@contextmanager
def _only(net: FiniteNetwork, optimizer: torch.optim.Optimizer) -> Iterator[dict[str, torch.nn.Parameter]]:
    """Yield the weights of an optimiser by name, they alone with gradients; after an error, put them back."""
    chosen = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    named = dict(net.named_parameters())
    weights = {name: weight for name, weight in named.items() if id(weight) in chosen}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    needed = {name: weight.requires_grad for name, weight in named.items()}
    try:
        for weight in named.values():
            weight.requires_grad_(id(weight) in chosen)
        yield weights
    except BaseException:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(before[name])
        raise
    finally:
        optimizer.zero_grad()
        for name, weight in named.items():
            weight.requires_grad_(needed[name])
