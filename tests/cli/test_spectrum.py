"""The verb spectrum: what it asks for, what it prints and writes, and what it says to wrong input."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import notsodeep as nsd
from notsodeep.cli.spectrum import split_layers
from notsodeep.experiments.spectrum import load_spectrum_samples
from notsodeep.report import spectrum_document, spectrum_headline, spectrum_tables
from tests.cli.kit import check_folders_refused, check_json, check_refused, check_report, invoke
from tests.report.spectrum_records import RECORDS
from tests.tolerances import ROUNDING, assert_close

FILES = {"spectrum.json", "spectrum.csv", "spectrum.png"}


run = partial(invoke, "spectrum")


@pytest.fixture
def asked(monkeypatch):
    """What the verb asks the experiment for; the experiment answers with a record made by hand."""
    calls = {}

    def load(*positional, **named):
        calls["samples"] = positional, named
        return "samples"

    def experiment(config, samples, progress):
        assert samples == "samples"
        calls["config"] = config
        return replace(RECORDS["half"], config=config)

    monkeypatch.setattr("notsodeep.experiments.spectrum.load_spectrum_samples", load)
    monkeypatch.setattr("notsodeep.experiments.spectrum.run_spectrum", experiment)
    return calls


def answer(asked):
    return replace(RECORDS["half"], config=asked["config"])


def test_it_prints_the_tables_and_ends_with_the_picture(asked, tmp_path):
    out = tmp_path / "out"
    result = run("--out", out)
    check_report(result, spectrum_headline(answer(asked)), spectrum_tables(answer(asked)), out / "spectrum.png")
    assert {path.name for path in out.iterdir()} == FILES


def test_json_is_the_only_output(asked, tmp_path):
    check_json(run("--json", "--out", tmp_path), spectrum_document(answer(asked)), tmp_path / "spectrum.json")


def test_without_options_it_takes_the_mixture_and_a_centred_deq(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run().exit_code == 0
    assert asked["config"].spec == nsd.DEQ("relu", 0.2, 0.8)
    assert (asked["config"].kernel, asked["config"].trainable) == ("ck", "all")
    (name, classes, n), named = asked["samples"]
    assert (name, classes, n) == ("gmm", None, None)
    assert named == {"seed": 0, "scale": "mean", "data_dir": None}
    assert {path.name for path in (tmp_path / "notsodeep-spectrum").iterdir()} == FILES


def test_every_option_arrives(asked, tmp_path):
    result = run(
        "--activation", "leaky_relu:slope=0.1", "--sigma-a2", "0.3", "--sigma-b2", "0.6", "--no-center",
        "--kernel", "ntk", "--trainable", "recurrent,readout", "--data", "digits", "--classes", "6,8", "--n", "90",
        "--scale", "sample", "--seed", "5", "--data-dir", tmp_path, "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    activation = nsd.activation("leaky_relu", slope=0.1)
    assert asked["config"].spec == nsd.DEQ(activation, sigma_a2=0.3, sigma_b2=0.6, center=False)
    assert (asked["config"].kernel, asked["config"].trainable) == ("ntk", ("recurrent", "readout"))
    (name, classes, n), named = asked["samples"]
    assert (name, classes, n) == ("digits", (6, 8), 90)
    assert named == {"seed": 5, "scale": "sample", "data_dir": tmp_path}


def test_layers_make_a_network_that_is_centred_at_the_scale_of_the_data(asked, tmp_path):
    result = run("--layers", "relu,softplus", "--kernel", "ntk", "--trainable", "layer1,readout", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    spec = asked["config"].spec
    assert [layer.activation.name for layer in spec.layers] == ["relu", "softplus"]
    assert nsd.coefficients(spec, "ntk", tau0=1.0, trainable=("layer1", "readout")).beta1 > 0.0
    assert "this 2-layer relu-softplus network" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tanh", ["tanh"]),
        ("relu,tanh", ["relu", "tanh"]),
        ("leaky_relu:slope=0.1,leaky_relu:slope=0.2", ["leaky_relu:slope=0.1", "leaky_relu:slope=0.2"]),
        ("two_slope:a=1, b=0.2 , tanh,", ["two_slope:a=1, b=0.2", "tanh"]),
        ("hermite:coefficients=0/1/0.2,scale=1,relu", ["hermite:coefficients=0/1/0.2,scale=1", "relu"]),
        ("", []),
    ],
)
def test_layers_are_separated_by_commas_as_parameters_are(text, parts):
    assert split_layers(text) == parts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--activation", "rleu"], "unknown activation 'rleu'"),
        (["--sigma-b2", "0"], "sigma_b2"),
        (["--layers", "relu,tnah"], "unknown activation 'tnah'"),
        (["--layers", ","], "layers must be one or more Layer"),
        (["--layers", "relu", "--sigma-a2", "0.2"], "layers makes an explicit network, and sigma_a2 is of a DEQ"),
        (["--layers", "relu", "--no-center"], "center is of a DEQ"),
        (["--sigma-a2", "3"], "no stable kernel fixed point"),
        (["--kernel", "gram"], "kernel must be one of"),
        (["--trainable", "recurrent,bias"], "trainable must be"),
        (["--layers", "relu", "--trainable", "recurrent"], "trainable must be"),
    ],
)
def test_wrong_models_are_refused_before_any_work(asked, tmp_path, arguments, words):
    check_refused(run(*arguments, "--out", tmp_path / "out"), words, tmp_path / "out")
    assert not asked


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(asked, tmp_path):
    check_folders_refused(run, tmp_path, "spectrum.csv")
    assert not asked


def test_help_has_an_example():
    assert "Example: notsodeep spectrum" in " ".join(run("--help").stdout.split())


def test_the_mixture_of_the_paper_is_predicted(tmp_path):
    result = run("--n", "200", "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["data"]["n"] == 200
    assert document["data"]["p"] == 250
    exact = np.genfromtxt(tmp_path / "spectrum.csv", delimiter=",", names=True)
    data = load_spectrum_samples("gmm", None, 200).data
    assert_close(exact["eigenvalue"], np.linalg.eigvalsh(nsd.ck(nsd.DEQ("relu"), data.X)), ROUNDING)
    found = [pair["found"] for pair in document["isolated"]]
    assert len(found) == 2
    assert_close(found, exact["eigenvalue"][:-3:-1], ROUNDING)
    assert sorted(document["errors"]) == ["exact squares", "norm-aware", "paper"]


def test_real_data_and_an_explicit_network(tmp_path):
    result = run("--layers", "tanh", "--data", "digits", "--classes", "6,8", "--n", "60", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "On 60 samples of digits" in " ".join(result.stdout.split())
    assert "fitted to" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "imagenet"], "unknown data set"),
        (["--data", "digits", "--classes", "6,12"], "classes has 12"),
        (["--data", "digits", "--scale", "max"], "scale must be one of"),
        (["--data", "digits", "--n", "5000"], "n must be at most"),
        (["--n", "4"], "n must be an integer >= 8"),
        (["--seed", "-1"], "seed"),
        (["--classes", "0,1"], "leave classes and scale out"),
    ],
)
def test_wrong_data_are_refused(tmp_path, arguments, words):
    check_refused(run(*arguments, "--out", tmp_path / "out"), words, tmp_path / "out")
