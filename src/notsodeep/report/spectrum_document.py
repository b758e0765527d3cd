"""A spectrum as plain JSON data, and its eigenvalues as a table."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

import numpy as np

from notsodeep._version import __version__
from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.report.document import FORMAT_VERSION, plain, samples_data, spec_data
from notsodeep.report.spectrum_facts import SpectrumFacts
from notsodeep.report.spectrum_wording import spectrum_headline
from notsodeep.spec import trainable_weights

_COLUMNS = "eigenvalue,isolated,predicted_cdf"


def spectrum_document(result: SpectrumResult) -> dict[str, Any]:
    """Return everything but the eigenvalues of the bulk as JSON data: no NumPy types, null for NaN and infinity.

    ``model`` is a spec as :func:`notsodeep.spec.to_dict` writes it, where its activations are no code; ``isolated`` has
    null where an eigenvalue is not predicted or was not found.
    """
    config, law = result.config, result.prediction.bulk
    document = {
        "format": FORMAT_VERSION,
        "version": __version__,
        "summary": spectrum_headline(result),
        "kernel": config.kernel,
        "trainable": sorted(trainable_weights(config.spec, config.trainable)),
        "model": spec_data(config.spec),
        "isolated": [asdict(pair) | {"error": pair.error} for pair in result.isolated],
        "margin": result.margin,
        "bulk": {
            "intervals": law.intervals,
            "atoms": [{"position": position, "mass": mass} for position, mass in law.atoms],
            "stretches": [stretch._asdict() for stretch in SpectrumFacts.of(result).stretches],
            "kolmogorov": result.kolmogorov,
        },
        "errors": result.errors,
        "data": samples_data(result.samples.data) | {"mixture": result.samples.origin},
    }
    return dict(plain(document))


def spectrum_csv(result: SpectrumResult) -> str:
    """Return the exact eigenvalues, ascending, whether each is isolated, and the predicted share up to it."""
    shares = result.prediction.bulk.cdf(result.eigenvalues)
    table = np.column_stack((result.eigenvalues, SpectrumFacts.of(result).apart, shares))
    text = io.StringIO()
    np.savetxt(text, table, ("%.17g", "%d", "%.17g"), ",", header=_COLUMNS, comments="")
    return text.getvalue()
