"""How fast the errors of the random-matrix equivalents fall with the dimension, on the mixture of arXiv:2402.02697."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.data import GaussianMixture, Statistics
from notsodeep.errors import ScaleWarning
from notsodeep.experiments.reproduction.equivalent_errors import (
    FORMS,
    MEANS_IN_T,
    PAPER,
    equivalent_errors,
    traces_with_means,
)
from notsodeep.experiments.reproduction.kernels import CK, NTK, PAPERS_NTK
from notsodeep.experiments.reproduction.study import Config, Row, Study, Unit
from notsodeep.experiments.samples import ASPECT, MIXTURE
from notsodeep.spec import DEQ

STUDIED = (CK, PAPERS_NTK, NTK)
OFFICIAL_T = "paper, official T"
"""The paper's form with ``T_ab = tr(C_a^o o C_b^o) / p``, as the official scripts have it"""
WITHIN_TAU0 = "paper, tau0 of C"
"""The paper's form of the DEQ whose tau0 is the literal one, ``sqrt(tr C^o / p)``: without the class means"""
_SECONDS = 45.0 / 4000**3  # of a unit on one core, by p^3
_OVERHEAD = 1.0  # seconds


@dataclass(frozen=True)
class ErrorVsPConfig(Config):
    """Dimensions and activations; each draw of each of them is a unit."""

    p: tuple[int, ...]
    activations: tuple[str, ...]
    aspect: float = ASPECT
    """Samples per dimension"""
    sigma_a2: float = 0.2
    sigma_b2: float = 0.8


_ACTIVATIONS = ("relu", "leaky_relu", "elu", "silu", "tanh")
FULL = ErrorVsPConfig(5, (MIXTURE,), (250, 500, 1000, 2000, 4000), _ACTIVATIONS)
QUICK = ErrorVsPConfig(2, (MIXTURE,), (64, 256), ("relu", "tanh"))


def units(config: ErrorVsPConfig) -> list[Unit]:
    """Return a unit for each activation, dimension and draw."""
    return [
        Unit(
            {
                "activation": name,
                "p": p,
                "seed": seed,
                "aspect": config.aspect,
                "sigma_a2": config.sigma_a2,
                "sigma_b2": config.sigma_b2,
            },
            _SECONDS * p**3 + _OVERHEAD,
        )
        for name in config.activations
        for p in config.p
        for seed in range(config.seeds)
    ]


def run(unit: Unit, data_dir: Path | None = None) -> list[Row]:
    """Return the relative spectral error of each form of the equivalent of each kernel.

    ``error = |K - Kbar| / |K|`` with the exact ``K``. The DEQ is centred at the root mean squared norm of the samples.
    """
    at: Mapping[str, Any] = unit.at
    gm = GaussianMixture.paper(at["p"])
    X, y = gm.sample(round(at["aspect"] * gm.p), seed=at["seed"])
    stats = Statistics.from_mixture(gm, X, y)
    deq = partial(DEQ, at["activation"], at["sigma_a2"], at["sigma_b2"])
    diagonals = np.outer(gm.covariances, np.ones(gm.p))
    centred = deq(tau0=math.sqrt(stats.squared_norms.mean()))
    traces = {OFFICIAL_T: official_traces(diagonals, stats), MEANS_IN_T: traces_with_means(stats)}
    errors = equivalent_errors(centred, X, stats, STUDIED, traces=traces)
    errors[CK, WITHIN_TAU0] = _within_error(deq(tau0=stats.tau0), X, stats)
    return [dict(at) | {"kernel": kernel, "form": form, "error": error} for (kernel, form), error in errors.items()]


def _within_error(deq: DEQ, X: FloatArray, stats: Statistics) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)  # what it warns of is what this measures
        return equivalent_errors(deq, X, stats, (CK,), {PAPER: FORMS[PAPER]})[CK, PAPER]


def official_traces(diagonals: FloatArray, stats: Statistics) -> FloatArray:
    """Return ``tr(C_a^o o C_b^o) / p``: products of entries of centred covariances, in place of ``tr(C_a C_b) / p``.

    Parameters
    ----------
    diagonals : array (K, p)
        Diagonals of the class covariances; the trace of a product entry by entry knows nothing else of them.
    stats : Statistics
        Of the samples whose class shares the covariances are centred with.

    Examples
    --------
    >>> import numpy as np
    >>> gm = GaussianMixture.paper(400)
    >>> stats = Statistics.from_mixture(gm, *gm.sample(320))
    >>> official_traces(np.outer(gm.covariances, np.ones(400)), stats).round(12)
    array([[ 0.04, -0.04],
           [-0.04,  0.04]])
    """
    centred = diagonals - stats.counts / stats.n @ diagonals
    return np.asarray(centred @ centred.T / stats.p)


STUDY = Study(
    name="error-vs-p",
    title="Errors of the random-matrix equivalents against the dimension",
    question=(
        "How far are the equivalents of the CK and of the NTK from the exact kernels on the paper's mixture, and how "
        "fast do they approach them as p grows?"
    ),
    full=FULL,
    quick=QUICK,
    units=units,
    run=run,
)
