"""Tables and document of a compilation, where the command line does not show them: no predictions, no stable kernel."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.compiler.options import Options
from notsodeep.experiments.compilation import CompilationResult, run_compilation
from notsodeep.networks import DEQNetwork
from notsodeep.report import compiled_document, compiled_tables, write_compiled


@pytest.fixture(scope="module")
def result():
    data = nsd.load_dataset("digits", classes=(6, 8), n=60, n_test=1)
    net = DEQNetwork(nsd.DEQ(nsd.Activation(torch.tanh), sigma_a2=0.3), 64, 40, 2)
    return run_compilation(net, "by hand", data, Options(readout="distilled", seed=3))


def change(result: CompilationResult, **changes) -> CompilationResult:
    return replace(result, compiled=replace(result.compiled, **changes))


def table(result, title):
    return next(one for one in compiled_tables(result) if one.title.startswith(title))


def test_every_row_fits_its_header(result):
    for one in compiled_tables(result):
        assert {len(cells) + 1 for _, cells in one.rows} == {len(one.header)}


def test_numbers_are_those_of_the_record(result):
    found = result.compiled
    rows = dict(table(result, "The DEQ: by hand, width 40").rows)
    assert float(rows["sigma_a2"][0]) == pytest.approx(found.variances.sigma_a2, rel=1e-5)
    assert "sigma_a2, matched" not in rows
    shown = dict(table(result, "Predictions on 12").rows)["same class as the network"]
    assert shown == (f"{100 * found.fidelity.predictions.agreement['own']:.1f} %", "none", "none")
    kernel = dict(table(result, "Distance of conjugate kernels on 12").rows)
    own = found.fidelity.kernel.own
    assert [float(cell.split()[0]) for cell in kernel["this DEQ to infinite DEQ"]] == pytest.approx(
        [100 * own.plain.frobenius, 100 * own.centred.frobenius], rel=0.06
    )
    low, high = (float(part.split()[0]) for part in kernel["drawn DEQs to infinite DEQ"][1].split(" to "))
    assert low <= high
    assert len(table(result, "Are its weights").rows) == len(found.weights.checks)


def test_a_model_without_predictions_or_stable_kernel(result):
    fidelity = replace(result.compiled.fidelity, predictions=None)
    variances = replace(result.compiled.variances, sigma_a2=7.0)
    other = change(result, fidelity=fidelity, variances=variances, readout="none")
    assert not [one for one in compiled_tables(other) if one.title.startswith("Predictions")]
    assert (
        dict(table(other, "The DEQ").rows)["sigma_a2, matched"][0] == dict(table(result, "The DEQ").rows)["sigma_a2"][0]
    )
    document = compiled_document(other)
    assert document["fidelity"]["predictions"] is None
    assert not document["covered"]
    assert "with sigma_a2 = 7 there is no stable kernel" in document["summary"]


def test_the_files(result, tmp_path):
    paths = write_compiled(result, tmp_path / "out")
    document = json.loads(paths["compile.json"].read_text())
    assert document == compiled_document(result)
    assert document["options"]["seed"] == 3
    assert document["deq"]["kind"] == "DEQ"
    assert "custom" in document["deq"]["repr"]  # code is not data
    X = np.eye(64)[:3]
    assert torch.equal(nsd.load(paths["net.safetensors"])(X), result.compiled.module(X))
    (tmp_path / "other" / "compile.json").mkdir(parents=True)
    with pytest.raises(OSError, match=r"compile\.json is a folder"):
        write_compiled(result, tmp_path / "other")
