"""The files of a spectrum: complete, alone, and made of what the record holds."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.report import SPECTRUM_FILES, spectrum_csv, spectrum_document, spectrum_headline, write_spectrum
from notsodeep.spec import from_dict
from tests.report.spectrum_records import RECORDS, SEMICIRCLE, record
from tests.tolerances import ROUNDING, assert_close

every_record = pytest.mark.parametrize("result", RECORDS.values(), ids=RECORDS)


def test_files_are_complete_and_alone(tmp_path):
    folder = tmp_path / "not" / "there"
    result = RECORDS["half"]
    paths = write_spectrum(result, folder)
    assert paths == {name: folder / name for name in SPECTRUM_FILES}
    assert {path.name for path in folder.iterdir()} == {"spectrum.json", "spectrum.csv", "spectrum.png"}
    assert json.loads(paths["spectrum.json"].read_text()) == spectrum_document(result)
    assert paths["spectrum.csv"].read_text() == spectrum_csv(result)
    assert paths["spectrum.png"].read_bytes().startswith(b"\x89PNG")


def test_an_earlier_run_is_replaced(tmp_path):
    write_spectrum(RECORDS["half"], tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    paths = write_spectrum(RECORDS["alone"], tmp_path)
    assert json.loads(paths["spectrum.json"].read_text())["isolated"] == []
    assert {path.name for path in tmp_path.iterdir()} == {*SPECTRUM_FILES, "mine.txt"}


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "spectrum.csv").mkdir()
    with pytest.raises(OSError, match=r"spectrum\.csv is a folder"):
        write_spectrum(RECORDS["alone"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["spectrum.csv"]


@every_record
def test_the_document_is_json_and_holds_the_record(result):
    document = spectrum_document(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["summary"] == spectrum_headline(result)
    assert document["version"] == nsd.__version__
    assert document["kernel"] == result.config.kernel
    assert document["trainable"] == ["input", "readout", "recurrent"]
    assert from_dict(document["model"]) == result.config.spec
    assert document["errors"] == result.errors
    assert document["margin"] == result.margin
    for said, pair in zip(document["isolated"], result.isolated, strict=True):
        assert (said["predicted"], said["found"], said["error"]) == (pair.predicted, pair.found, pair.error)
        want = pair.predicted_alignment, pair.found_alignment
        for alignment, values in zip((said["predicted_alignment"], said["found_alignment"]), want, strict=True):
            assert alignment == (None if values is None else list(values))
    law = result.prediction.bulk
    assert document["bulk"]["kolmogorov"] == result.kolmogorov
    assert document["bulk"]["intervals"] == [list(interval) for interval in law.intervals]
    assert [(atom["position"], atom["mass"]) for atom in document["bulk"]["atoms"]] == list(law.atoms)
    assert_close(sum(stretch["predicted"] for stretch in document["bulk"]["stretches"]), 1.0, ROUNDING)
    data = document["data"]
    assert (data["name"], data["n"], data["p"]) == ("blobs", 400, 3)
    assert data["mixture"] == "a mixture made by hand"


def test_models_that_are_code_or_explicit():
    own = spectrum_document(record(SEMICIRCLE, spec=nsd.DEQ(nsd.Activation(np.arctan))))["model"]
    assert own["kind"] == "DEQ"
    assert "custom" in own["repr"]
    explicit = nsd.MLP((nsd.Layer("tanh"), nsd.Layer("relu")))
    document = spectrum_document(record(SEMICIRCLE, spec=explicit))
    assert from_dict(document["model"]) == explicit
    assert document["trainable"] == ["layer1", "layer2", "readout"]
    code = nsd.MLP((nsd.Layer("tanh"), nsd.Layer(nsd.Activation(np.arctan))))
    assert spectrum_document(record(SEMICIRCLE, spec=code))["model"]["kind"] == "MLP"


def test_not_a_number_is_null():
    assert spectrum_document(replace(RECORDS["alone"], kolmogorov=math.nan))["bulk"]["kolmogorov"] is None


@every_record
def test_the_table_of_eigenvalues(result):
    rows = list(csv.DictReader(spectrum_csv(result).splitlines()))
    assert list(rows[0]) == ["eigenvalue", "isolated", "predicted_cdf"]
    values = np.array([float(row["eigenvalue"]) for row in rows])
    assert np.array_equal(values, result.eigenvalues)
    found = sorted(pair.found for pair in result.isolated if pair.found is not None)
    assert [float(row["eigenvalue"]) for row in rows if row["isolated"] == "1"] == found
    assert {row["isolated"] for row in rows} <= {"0", "1"}
    shares = np.array([float(row["predicted_cdf"]) for row in rows])
    assert np.array_equal(shares, result.prediction.bulk.cdf(values))
