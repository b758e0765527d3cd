"""A training run as words, tables, picture and files, against records made by hand."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from itertools import pairwise

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

import notsodeep as nsd
from notsodeep.report import (
    TRAINING_FILES,
    training_csv,
    training_document,
    training_figure,
    training_headline,
    training_tables,
    write_training,
)
from tests.report.training_records import RECORDS

every_record = pytest.mark.parametrize("result", RECORDS.values(), ids=RECORDS)


def test_headlines_say_what_was_trained():
    start = {
        "plain": "Training the readout of a 1-layer tanh network of width 24 on 40 samples of blobs for 40 epochs",
        "stopped": "Training the readout of this tanh DEQ of width 24 on 40 samples of blobs for 20 epochs "
        "(stopped early; weights of epoch 7) gives",
        "single": "Training all weights of this tanh DEQ of width 24 on 40 samples of blobs for 1 epoch",
        "twin": "Training all weights of the twin of a tanh DEQ (a 1-layer tanh network) of width 24",
    }
    assert all(training_headline(RECORDS[name]).startswith(words) for name, words in start.items())
    assert training_headline(RECORDS["plain"]).endswith("gives 80.0 % ± 6.3 points on 40 test samples.")
    assert " gives 100.0 % ± 0.0 points " in training_headline(RECORDS["single"])


@every_record
def test_tables_are_rectangular_and_hold_the_history(result):
    table, test = training_tables(result)
    history, columns = result.training.history, len(table.header) - 1
    assert columns == (4 if result.config.settings.validation else 2)
    numbers = [int(label) for label, _ in table.rows]
    assert numbers[0] == 1
    assert numbers[-1] == len(history)
    assert result.training.best in numbers
    assert len(numbers) <= 12
    for number, (_, cells) in zip(numbers, table.rows, strict=True):
        epoch = history[number - 1]
        assert len(cells) == columns
        assert float(cells[0]) == pytest.approx(epoch.loss, rel=5e-4)
        assert cells[1] == f"{100 * epoch.accuracy:.1f} %"
        if columns == 4:
            assert float(cells[2]) == pytest.approx(epoch.validation_loss, rel=5e-4)
            assert cells[3] == f"{100 * epoch.validation_accuracy:.1f} %"
    hidden = len(history) - len(numbers)
    assert any(note.startswith(f"{hidden} more epochs") for note in table.notes) == (hidden > 0)
    assert test.rows[0][1][0] in training_headline(result)


@every_record
def test_the_document_is_json_and_holds_the_record(result):
    document = training_document(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["summary"] == training_headline(result)
    assert nsd.spec.from_dict(document["spec"]) == result.spec
    assert nsd.spec.from_dict(document["deq"]) == result.config.deq
    assert (document["model"], document["width"]) == (result.config.model, 24)
    assert document["history"] == [asdict(epoch) for epoch in result.training.history]
    assert (document["best"], document["stopped_early"]) == (result.training.best, result.training.stopped_early)
    assert document["test"] == {"accuracy": result.test_accuracy, "standard_error": result.standard_error, "n": 40}
    assert document["settings"]["lr"] == 1.0
    assert (document["data"]["name"], document["data"]["n"], document["data"]["n_test"]) == ("blobs", 40, 40)


@every_record
def test_the_csv_has_a_line_for_each_epoch(result):
    rows = list(csv.DictReader(io.StringIO(training_csv(result))))
    for row, epoch in zip(rows, result.training.history, strict=True):
        for name, value in asdict(epoch).items():
            assert row[name] == ("" if value is None else str(value))


@every_record
def test_the_picture_holds_the_curves(result):
    history = result.training.history
    left, right = training_figure(result).axes
    for axes, name, factor in ((left, "loss", 1.0), (right, "accuracy", 100.0)):
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines["training"].get_ydata()) == [factor * getattr(epoch, name) for epoch in history]
        assert list(lines["training"].get_xdata()) == [epoch.number for epoch in history]
        assert ("validation" in lines) == bool(result.config.settings.validation)
        if "validation" in lines:
            wanted = [factor * getattr(epoch, f"validation_{name}") for epoch in history]
            assert list(lines["validation"].get_ydata()) == wanted
            assert lines["best: epoch 7"].get_xdata()[0] == 7
    (test,) = (line for line in right.lines if line.get_label().startswith("test"))
    assert set(test.get_ydata()) == {100.0 * result.test_accuracy}


@every_record
def test_labels_are_whole_and_legends_cover_nothing(result):
    figure = training_figure(result)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), figure.bbox.size
    for axes in figure.axes:
        for box in (axes.get_tightbbox(renderer), axes.title.get_window_extent(renderer)):
            assert min(box.x0, box.y0) >= 0.0
            assert box.x1 <= width
            assert box.y1 <= height
        legend = axes.get_legend().get_window_extent(renderer)
        assert legend.y1 <= axes.xaxis.label.get_window_extent(renderer).y0
        ticks = [text.get_window_extent(renderer) for text in axes.xaxis.get_ticklabels() if text.get_text()]
        assert not any(one.overlaps(other) for one, other in pairwise(ticks))


def test_files_are_complete_and_alone(tmp_path):
    result, folder = RECORDS["stopped"], tmp_path / "not" / "there"
    paths = write_training(result, folder)
    assert paths == {name: folder / name for name in TRAINING_FILES}
    assert {path.name for path in folder.iterdir()} == set(TRAINING_FILES)
    assert json.loads(paths["train.json"].read_text()) == training_document(result)
    assert paths["history.csv"].read_text() == training_csv(result)
    assert paths["training.png"].read_bytes().startswith(b"\x89PNG")
    again = nsd.networks.load(paths["net.safetensors"])
    X = torch.eye(3, dtype=torch.float64)
    assert torch.equal(again(X), result.network(X))


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "history.csv").mkdir()
    with pytest.raises(OSError, match=r"history\.csv is a folder"):
        write_training(RECORDS["single"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]
