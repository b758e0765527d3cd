"""The verb train: what it asks for, what it prints and writes, how it goes on, and what it says to wrong input."""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import torch

import notsodeep as nsd
from notsodeep.cli.console import step_bar
from notsodeep.networks import TrainSettings, load
from notsodeep.networks.training import FILES
from notsodeep.report import TRAINING_FILES, training_document, training_headline, training_tables
from tests.cli.kit import check_folders_refused, check_json, check_refused, check_report, invoke
from tests.report.training_records import RECORDS

run = partial(invoke, "train")


@pytest.fixture
def asked(monkeypatch):
    """What the verb asks the experiment for; the experiment answers with a record made by hand."""
    calls = {}

    def samples(*positional, **named):
        calls["samples"] = positional, named
        return "samples"

    def experiment(config, samples, folder, restart, progress):
        assert samples == "samples"
        calls.update(config=config, folder=folder, restart=restart)
        return replace(RECORDS["stopped"], config=config)

    monkeypatch.setattr("notsodeep.experiments.samples.load_samples", samples)
    monkeypatch.setattr("notsodeep.experiments.training.run_training", experiment)
    return calls


def answer(asked):
    return replace(RECORDS["stopped"], config=asked["config"])


def test_it_prints_the_tables_and_ends_with_the_picture(asked, tmp_path):
    out = tmp_path / "out"
    result = run("--out", out)
    check_report(result, training_headline(answer(asked)), training_tables(answer(asked)), out / "training.png")
    assert {path.name for path in out.iterdir()} == set(TRAINING_FILES)


def test_json_is_the_only_output(asked, tmp_path):
    check_json(run("--json", "--out", tmp_path), training_document(answer(asked)), tmp_path / "train.json")


def test_without_options_it_is_the_protocol_of_the_paper_on_digits(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run().exit_code == 0
    config = asked["config"]
    assert (config.deq, config.model, config.width) == (nsd.DEQ("relu", 0.2, 0.8), "deq", 1024)
    assert config.settings == TrainSettings()
    assert asked["samples"] == (("digits", None, None, None), {"seed": 0, "scale": "mean", "data_dir": None})
    assert (str(asked["folder"]), asked["restart"]) == ("notsodeep-train", False)
    assert {path.name for path in (tmp_path / "notsodeep-train").iterdir()} == set(TRAINING_FILES)


def test_every_option_arrives(asked, tmp_path):
    result = run(
        "--model", "plain", "--activation", "leaky_relu:slope=0.1", "--sigma-a2", "0.3", "--sigma-b2", "0.6",
        "--width", "64", "--data", "digits", "--classes", "6,8", "--n", "90", "--n-test", "40", "--scale", "sample",
        "--trainable", "layer1,readout", "--loss", "mse", "--optimizer", "sgd", "--lr", "0.25", "--momentum", "0.5",
        "--weight-decay", "0.125", "--epochs", "7", "--batch-size", "16", "--parametrization", "standard",
        "--validation", "0.25", "--patience", "3", "--seed", "5", "--data-dir", tmp_path, "--out", tmp_path / "out",
        "--restart",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    config = asked["config"]
    deq = nsd.DEQ(nsd.activation("leaky_relu", slope=0.1), sigma_a2=0.3, sigma_b2=0.6)
    assert (config.deq, config.model, config.width) == (deq, "plain", 64)
    assert config.settings == TrainSettings(
        trainable=("layer1", "readout"),
        loss="mse",
        lr=0.25,
        momentum=0.5,
        weight_decay=0.125,
        epochs=7,
        batch_size=16,
        seed=5,
        parametrization="standard",
        validation=0.25,
        patience=3,
    )
    named = {"seed": 5, "scale": "sample", "data_dir": tmp_path}
    assert asked["samples"] == (("digits", (6, 8), 90, 40), named)
    assert (asked["folder"], asked["restart"]) == (tmp_path / "out", True)
    assert run("--optimizer", "adam", "--lr", "0.01", "--out", tmp_path / "out").exit_code == 0
    assert asked["config"].settings == TrainSettings(optimizer="adam", lr=0.01)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "resnet"], "model must be one of 'deq', 'twin', 'plain'"),
        (["--activation", "rleu"], "unknown activation 'rleu'"),
        (["--sigma-a2", "3"], "no stable kernel fixed point"),
        (["--width", "0"], "width must be"),
        (["--trainable", "layer1"], "trainable must be"),
        (["--loss", "hinge"], "loss must be one of"),
        (["--optimizer", "lbfgs"], "optimizer must be one of"),
        (["--lr", "0"], "lr must be"),
        (["--momentum", "1"], "momentum must be"),
        (["--weight-decay", "-1"], "weight_decay must be"),
        (["--epochs", "0"], "epochs must be"),
        (["--batch-size", "0"], "batch_size must be"),
        (["--parametrization", "mup"], "parametrization must be"),
        (["--validation", "1"], "validation must be"),
        (["--patience", "3"], "patience needs samples"),
        (["--seed", "-1"], "seed must be"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(asked, tmp_path, arguments, words):
    check_refused(run(*arguments, "--out", tmp_path / "out"), words, tmp_path / "out")
    assert not asked


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(asked, tmp_path):
    check_folders_refused(run, tmp_path, "checkpoint.safetensors")
    assert not asked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "imagenet"], "unknown data set"),
        (["--classes", "6,12"], "classes has 12"),
        (["--n", "5000"], "n must be between"),
        (["--n-test", "0"], "n_test must be"),
    ],
)
def test_wrong_data_are_refused(tmp_path, arguments, words):
    check_refused(run(*arguments, "--out", tmp_path / "out"), words, tmp_path / "out")


def test_help_has_an_example():
    assert "Example: notsodeep train" in " ".join(run("--help").stdout.split())


SMALL = ["--classes", "6,8", "--n", "80", "--n-test", "50", "--width", "32", "--epochs", "5", "--batch-size", "20"]


def test_a_small_run_and_going_on_with_it(tmp_path, monkeypatch):
    """Interrupted in its third epoch: exit code 130; the same command ends it as if nothing had happened."""
    monkeypatch.setattr("notsodeep.networks.training.loop.BETWEEN", 0.0)
    monkeypatch.setattr("notsodeep.networks.training.checkpoint._TIMES", 0)
    whole = run(*SMALL, "--json", "--out", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {*TRAINING_FILES, *FILES}
    with monkeypatch.context() as patch:
        patch.setattr("notsodeep.cli.train.step_bar", interrupting)
        broken = run(*SMALL, "--out", tmp_path / "broken")
    assert (broken.exit_code, broken.stderr, broken.stdout) == (130, "interrupted\n", "")
    assert {path.name for path in (tmp_path / "broken").iterdir()} == set(FILES)
    resumed = run(*SMALL, "--json", "--out", tmp_path / "broken")
    assert resumed.exit_code == 0, resumed.output
    documents = [json.loads(done.stdout) for done in (whole, resumed)]
    for document in documents:
        for epoch in document["history"]:
            del epoch["seconds"]
    assert documents[0] == documents[1]
    nets = [load(tmp_path / name / "net.safetensors") for name in ("whole", "broken")]
    assert torch.equal(nets[0].readout.weight, nets[1].readout.weight)
    check_refused(run(*SMALL, "--lr", "2", "--out", tmp_path / "broken"), "lr is 1.0 there and 2.0 here")
    anew = run(*SMALL, "--lr", "2", "--restart", "--json", "--out", tmp_path / "broken")
    assert anew.exit_code == 0, anew.output
    assert json.loads(anew.stdout)["settings"]["lr"] == 2.0


@contextmanager
def interrupting():
    def progress(words, done, total):
        if words.startswith("epoch 3"):
            raise KeyboardInterrupt

    yield progress


def test_a_run_that_diverges_ends_with_exit_code_1(tmp_path):
    result = run(*SMALL, "--loss", "mse", "--lr", "1e20", "--out", tmp_path)
    assert result.exit_code == 1
    assert "lower lr" in result.stderr


@pytest.mark.parametrize("model", ["twin", "plain"])
def test_explicit_models(model, tmp_path):
    result = run(*SMALL, "--model", model, "--trainable", "all", "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["model"] == model
    assert document["spec"]["kind"] == "MLP"
    assert document["test"]["accuracy"] > 0.8


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_shows_on_a_terminal_and_not_in_a_pipe(monkeypatch):
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with step_bar() as progress:
            progress("computing features", 10, 10)
            for done in range(1, 21):
                progress("epoch 1 of 2, loss 0.25", done, 40)
        assert ("epoch 1 of 2, loss 0.25" in stream.getvalue()) == shown
