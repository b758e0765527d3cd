"""A compilation as plain JSON data, and its files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from notsodeep._version import __version__
from notsodeep.experiments.compilation import CompilationResult
from notsodeep.files import StrPath
from notsodeep.report.document import FORMAT_VERSION, json_text, plain, samples_data, spec_data
from notsodeep.report.files import write_files

COMPILED_FILES = ("compile.json", "net.safetensors")
"""What is written for a compilation"""


def compiled_document(result: CompilationResult) -> dict[str, Any]:
    """Return everything but the weights as JSON data: no NumPy types, null for NaN and infinity.

    ``network`` is a spec as :func:`notsodeep.spec.to_dict` writes it; ``fidelity.kernel`` has relative distances,
    ``plain`` and ``centred``; ``fidelity.cost`` has ``memory`` in bits.
    """
    found = result.compiled
    document = {
        "format": FORMAT_VERSION,
        "version": __version__,
        "summary": found.verdict,
        "covered": found.covered,
        "source": result.source,
        "options": asdict(result.options),
        "readout": found.readout,
        "classes": found.classes,
        "variances": asdict(found.variances),
        "weights": {
            "verdict": found.weights.verdict,
            "reason": found.weights.reason,
            "outliers": found.weights.outliers,
            "checks": [asdict(check) for check in found.weights.checks],
        },
        "status": found.match.status,
        "family": found.match.match.family,
        "reason": found.match.match.reason,
        "deq": spec_data(found.match.deq),
        "network": spec_data(found.match.spec),
        "fidelity": asdict(found.fidelity),
        "data": samples_data(result.samples),
    }
    return dict(plain(document))


def write_compiled(result: CompilationResult, folder: StrPath) -> dict[str, Path]:
    """Write :data:`COMPILED_FILES` into ``folder`` (:func:`~notsodeep.report.files.write_files`)."""
    document = json_text(compiled_document(result)).encode()
    return write_files(folder, {"compile.json": document}, result.compiled.module)
