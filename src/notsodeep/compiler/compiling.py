"""``compile``: the shallow network for a DEQ with weights of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from notsodeep.checks import FloatArray, labels, samples
from notsodeep.compiler.compiled import Compiled, Variances
from notsodeep.compiler.fidelity import DRAWS, MOST, CompiledFidelity, Predictions, costs, kernel_fidelity, predictions
from notsodeep.compiler.options import Options
from notsodeep.compiler.states import BATCH, Part, features_in_batches, split, states_at
from notsodeep.compiler.subject import Subject
from notsodeep.compiler.weights import check_weights
from notsodeep.errors import ScaleWarning, StabilityWarning
from notsodeep.files import StrPath
from notsodeep.kernels.scalar import rest_point
from notsodeep.matching.reduction import match_any
from notsodeep.networks import ExplicitNetwork, ParallelNetwork, RidgeReadout, class_indices
from notsodeep.networks.ridge import RIDGE

STAGES = ("the weights", "solving the equations", "states of the DEQ", "fitting the readout", "fidelity")
"""What :func:`compile` does, in order."""
CACHED = ("fit.npy", "held-out.npy")
"""Files of states in the folder ``cache``, each with a ``.json`` beside it"""
LEAST = 10
"""Fewest samples"""
_MATCHED_ON = 2000  # samples at most
_APART = (0x6E73, 0x64)  # any numbers


def compile(  # noqa: A001  # the verb that it is
    deq: Any,
    X: Any,
    y: Any = None,
    *,
    kernel: str = "ck",
    width: int | None = None,
    readout: str = "auto",
    family: str = "auto",
    holdout: float = 0.2,
    ridge: float = RIDGE,
    seed: int = 0,
    on_failure: str = "raise",
    cache: StrPath | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Compiled:
    """Return a shallow explicit network in the place of a deep equilibrium model, and how well it stands for it.

    The variances are read off the weights, the network is matched to the kernel that a DEQ has with random weights of
    these variances (or, where that has no stable kernel, with a lower recurrent one), and its readout is fitted. The
    result tells whether the weights are random enough for that, and compares both on samples that were held out.

    Parameters
    ----------
    deq : DEQNetwork, ImplicitLayer or torch.nn.Module
        The model. A module of the user's own is looked through with
        :meth:`~notsodeep.compiler.ImplicitLayer.from_module`, which raises where it is of another form.
    X : array_like or tensor (n, p)
        Samples as the model reads them, of any scale; at least 10.
    y : array_like (n,), optional
        Class labels.
    kernel : {"ck", "ntk", "both"}
        Which kernel the network shares. A readout alone feels the conjugate kernel.
    width : int, optional
        Of the network; that of the DEQ when not given.
    readout : {"auto", "labels", "distilled"}
        Fit it by ridge regression to the labels (``auto`` with ``y``), or to the DEQ's own outputs.
    family : str
        As in :func:`~notsodeep.match`.
    holdout : float
        Share of the samples that nothing is fitted on, above 0 and below 1.
    ridge : float
        Of the regression, relative to the mean squared norm of the features.
    seed : int
        Of the split and of the network's weights.
    on_failure : {"raise", "return"}
        With ``"return"``, samples whose equilibrium is not reached are left out, and the closest network is taken where
        none matches.
    cache : path, optional
        Existing folder for the states of the DEQ: the same compilation does not compute them again, and goes on where
        one was interrupted. Not with ``on_failure="return"``.
    progress : callable, optional
        Is told each stage before it starts.

    Returns
    -------
    Compiled
        ``module``, ``verdict``, ``covered``, ``fidelity``, ``weights``, ``variances``, ``match``.

    Raises
    ------
    ValueError
        When an argument is illegal or the model is of another form.
    DataError
        When ``cache`` has states of another compilation.
    ConvergenceError
        When an equilibrium was not reached or no network was found, unless ``on_failure="return"``.

    Notes
    -----
    Without labels and without a readout of the DEQ, ``module.features`` is all there is to the network; its readout is
    as drawn.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> X, y = nsd.load_dataset("digits", n=400)
    >>> deq = nsd.DEQ("relu").to_torch(in_features=64, width=200, out_features=10)
    >>> compiled = nsd.compile(deq, X, y)
    >>> compiled.covered, compiled.fidelity.predictions.agreement["refitted"] > 0.8
    (True, True)
    >>> compiled.module(X[:5]).shape
    torch.Size([5, 10])
    """
    X = samples("X", X.detach().cpu() if isinstance(X, torch.Tensor) else X, at_least=LEAST)
    options = Options(kernel, width, readout, family, holdout, ridge, seed, on_failure)
    folder = _folder(cache, on_failure)
    given = None if y is None else _Labels.of(y, len(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)  # that equilibria might not be reached: it will be seen
        warnings.simplefilter("ignore", ScaleWarning)  # parts of the samples: the model is not centred at a scale
        return _compile(deq, X, given, options, folder, progress)


@dataclass(frozen=True)
class _Labels:
    """Class labels, and the place of each among the classes."""

    classes: tuple[Any, ...]
    places: torch.Tensor

    @classmethod
    def of(cls, y: Any, n: int) -> _Labels:
        given = labels("y", y.detach().cpu() if isinstance(y, torch.Tensor) else y, n)
        classes = tuple(np.unique(given).tolist())
        if len(classes) < 2:
            raise ValueError(f"y must have labels of two classes or more, got {classes[0]!r} alone")
        return cls(classes, class_indices(given, classes))


def _compile(
    deq: Any,
    X: FloatArray,
    given: _Labels | None,
    options: Options,
    folder: Path | None,
    progress: Callable[[str], None],
) -> Compiled:
    progress(STAGES[0])
    subject = Subject.of(deq, torch.from_numpy(X))
    kind = options.fitted_to(given is not None, subject.has_readout)
    net = subject.net
    weights = check_weights(net.A, net.B, net.c)

    progress(STAGES[1])
    fit_rows, held_rows = split(len(X), options.holdout, options.seed)
    some = fit_rows[:: -(-len(fit_rows) // _MATCHED_ON)]
    found = match_any(subject.spec, X[some], options.kernel, options.family, on_failure=options.on_failure)

    progress(STAGES[2])
    fit = states_at(subject, X, fit_rows, options.on_failure, folder and folder / CACHED[0])
    held = states_at(subject, X, held_rows, options.on_failure, folder and folder / CACHED[1])

    progress(STAGES[3])
    targets = _targets(kind, subject, fit, given)
    outputs = 1 if targets is None else targets.shape[1]
    own_seed, *other_seeds = _seeds(options.seed)
    width = options.width or net.width
    module = found.spec.to_torch(net.in_features, width, outputs, seed=own_seed).to(subject.like)
    if targets is not None:
        set_readout(module, *_ridge(features_in_batches(module, fit.X), targets, options.ridge))

    progress(STAGES[4])
    some_held = slice(0, MOST)
    features = torch.cat(list(features_in_batches(module, held.X[some_held])))
    kernels = kernel_fidelity(subject, found.spec, held.states[some_held], features, held.X[some_held], other_seeds)
    compared = None if targets is None else _compared(kind, subject, module, fit, held, given, targets, options.ridge)
    return Compiled(
        module=module,
        readout=kind,
        classes=given.classes if kind == "labels" and given is not None else None,
        variances=_variances(subject),
        weights=weights,
        match=found,
        fidelity=CompiledFidelity(kernels, compared, costs(subject, module, held.X[some_held]), held.unconverged),
    )


def set_readout(net: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Give a network this readout."""
    with torch.no_grad():
        net.readout.weight.copy_(weight)
    net.readout.bias = None if bias is None else torch.nn.Parameter(bias.to(net.readout.weight))


def _seeds(seed: int) -> list[int]:
    """Return seeds for the network and for DEQs that are drawn: none shares weights with a DEQ of a simple seed."""
    drawn = np.random.SeedSequence([seed, *_APART]).generate_state(1 + DRAWS)
    return [int(each) for each in drawn]


def _folder(cache: StrPath | None, on_failure: str) -> Path | None:
    if cache is None:
        return None
    if on_failure == "return":
        raise ValueError("cache goes with on_failure='raise': states that were not reached are not kept")
    folder = Path(cache)
    if not folder.is_dir():
        raise ValueError(f"cache must be an existing folder, got {folder}")
    return folder


def _targets(kind: str, subject: Subject, fit: Part, given: _Labels | None) -> torch.Tensor | None:
    if kind == "labels" and given is not None:
        return torch.eye(len(given.classes), dtype=torch.float64)[given.places[fit.rows]]
    return subject.own_outputs(fit.states) if kind == "distilled" else None


def _ridge(
    features: Iterable[torch.Tensor], targets: torch.Tensor, ridge: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    readout: RidgeReadout | None = None
    for batch, wanted in zip(features, targets.split(BATCH), strict=True):
        if readout is None:
            readout = RidgeReadout(batch.shape[1], targets.shape[1], device=batch.device)
        readout.update(batch, wanted)
    if readout is None:
        raise ValueError("features must have at least one batch")
    return readout.solve(ridge)


def _compared(
    kind: str,
    subject: Subject,
    module: ExplicitNetwork | ParallelNetwork,
    fit: Part,
    held: Part,
    given: _Labels | None,
    targets: torch.Tensor,
    ridge: float,
) -> Predictions:
    refitted = None
    if kind == "labels":
        weight, bias = _ridge(fit.states.split(BATCH), targets, ridge)
        refitted = held.states.cpu().double() @ weight.cpu().T + (0.0 if bias is None else bias.cpu())
    with torch.no_grad():
        network = torch.cat([module.readout(batch) for batch in features_in_batches(module, held.X)])
    outputs = {"own": subject.own_outputs(held.states), "refitted": refitted, "network": network}
    there = {name: None if one is None else one.double().cpu() for name, one in outputs.items()}
    places = None if given is None else given.places[held.rows]
    return predictions(there, places, 0 if given is None else len(given.classes))


def _variances(subject: Subject) -> Variances:
    found, matched = subject.estimate, subject.spec
    rest = rest_point(matched)
    return Variances(
        sigma_a2=found.sigma_a2,
        sigma_b2=found.sigma_b2,
        sigma_c2=found.sigma_c2,
        tau0=found.tau0,
        matched_sigma_a2=matched.sigma_a2,
        tau_star=rest.tau_star,
        contraction=rest.contraction,
    )
