"""The verb compile: what it prints and writes, how it goes on, and what it says to wrong input."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.networks import DEQNetwork
from tests.cli.kit import check_refused, invoke

SMALL = ["--n", "120", "--classes", "3,6,8"]
FILES = {"compile.json", "net.safetensors"}


run = partial(invoke, "compile")


@pytest.fixture(scope="module")
def data():
    return nsd.load_dataset("digits", classes=(3, 6, 8), n=120, n_test=1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("deq") / "deq.safetensors"
    nsd.save(DEQNetwork(nsd.DEQ("tanh", sigma_a2=0.3), 64, 90, 3, seed=4, dtype=torch.float32), path)
    return path


@pytest.fixture(scope="module")
def good(file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compile") / "results"
    result = run(file, *SMALL, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def test_it_prints_the_verdict_and_the_tables(good, file):
    folder, output = good
    words = " ".join(output.split())
    assert words.startswith("The theory covers this DEQ: the weights look like independent Gaussian ones.")
    for title in (
        "width 90",
        "Are its weights as random weights are?",
        "The shallow network",
        "Distance of conjugate kernels on 24 held-out samples",
        "Predictions on 24 held-out samples",
        "Cost of one forward pass of 24 samples",
        "DEQ, refitted",
        "largest singular value of recurrent",
    ):
        assert title in words
    assert file.name in output
    assert output.strip().splitlines()[-1].split() == ["net.safetensors", str(folder / "net.safetensors")]


def test_it_writes_two_files(good):
    assert {path.name for path in good[0].iterdir()} == FILES


def test_they_are_what_the_function_gives(good, file, data):
    folder, _ = good
    want = nsd.compile(nsd.load(file), data.X, data.y)
    net = nsd.load(folder / "net.safetensors")
    assert net.spec == want.module.spec
    assert torch.equal(net(data.X), want.module(data.X))
    document = json.loads((folder / "compile.json").read_text())
    assert document["summary"] == want.verdict
    assert (document["covered"], document["weights"]["verdict"]) == (True, "gaussian")
    assert document["variances"]["sigma_a2"] == want.variances.sigma_a2
    assert document["fidelity"]["predictions"]["agreement"] == want.fidelity.predictions.agreement
    own = document["fidelity"]["kernel"]["own"]["centred"]["frobenius"]
    assert own == want.fidelity.kernel.own.centred.frobenius
    assert document["classes"] == [3, 6, 8]
    assert len(document["weights"]["checks"]) == len(want.weights.checks)
    assert document["network"]["kind"] == "MLP"


def test_json_is_the_only_output(file, tmp_path):
    result = run(file, *SMALL, "--readout", "distilled", "--width", "50", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "compile.json").read_text())
    assert json.loads(result.stdout)["readout"] == "distilled"
    assert nsd.load(tmp_path / "out" / "net.safetensors").width == 50


def test_without_a_file_a_deq_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("notsodeep.experiments.compilation._WIDTH", 60)
    result = run(*SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "The DEQ: a drawn ReLU DEQ, width 60" in result.stdout


def test_an_interrupted_run_goes_on(file, data, tmp_path, monkeypatch):
    folder = tmp_path / "out"

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("notsodeep.compiler.compiling.kernel_fidelity", stop)
        assert run(file, *SMALL, "--out", folder).exit_code == 130
    kept = {path.name for path in (folder / "states").iterdir()}
    assert kept == {"fit.npy", "fit.npy.json", "held-out.npy", "held-out.npy.json"}

    def refuse(*args, **options):
        raise AssertionError("states were there already")

    with monkeypatch.context() as patch:
        patch.setattr("notsodeep.networks.feature_cache._compute", refuse)
        assert run(file, *SMALL, "--out", folder).exit_code == 0
    assert {path.name for path in folder.iterdir()} == FILES
    net = nsd.load(folder / "net.safetensors")
    assert torch.equal(net(data.X), nsd.compile(nsd.load(file), data.X, data.y).module(data.X))


def test_states_of_another_run_are_not_taken(file, tmp_path):
    states = tmp_path / "out" / "states"
    states.mkdir(parents=True)
    np.save(states / "fit.npy", np.zeros((96, 90), dtype=np.float32))
    (states / "fit.npy.json").write_text('{"version": 1, "sha256": "0", "done": 96}')
    result = run(file, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "fit.npy has features of other weights, options or samples" in " ".join(result.stderr.split())


def test_samples_without_equilibrium(tmp_path):
    path = tmp_path / "deq.safetensors"
    nsd.save(DEQNetwork(nsd.DEQ("tanh", sigma_a2=0.9), 64, 60, 3, max_iter=12, tol=2e-3), path)
    result = run(path, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "was not reached for" in result.stderr
    result = run(path, *SMALL, "--family", "hard_tanh", "--on-failure", "return", "--json", "--out", tmp_path / "other")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["fidelity"]["unconverged"] > 0


def explicit(folder):
    nsd.save(nsd.MLP(nsd.Layer("tanh")).to_torch(64, 20), folder / "explicit.safetensors")
    return folder / "explicit.safetensors"


def narrow(folder):
    nsd.save(nsd.DEQ("tanh").to_torch(5, 20), folder / "narrow.safetensors")
    return folder / "narrow.safetensors"


def damaged(folder):
    (folder / "damaged.safetensors").write_bytes(b"nothing")
    return folder / "damaged.safetensors"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (explicit, "must hold a DEQNetwork to compile, got ExplicitNetwork, which is explicit already"),
        (narrow, "the network reads samples of 5 features, and those of digits"),
        (damaged, "is damaged or not a safetensors file"),
        (lambda folder: folder / "absent.safetensors", "absent.safetensors cannot be read"),
    ],
)
def test_wrong_files(tmp_path, make, words):
    check_refused(run(make(tmp_path), *SMALL, "--out", tmp_path / "out"), words, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--readout", "own"], "readout must be one of"),
        (["--holdout", "1"], "holdout must be a share below 1"),
        (["--kernel", "gram"], "kernel must be one of"),
        (["--family", "cube"], "family must be one of"),
        (["--width", "0"], "width must be an integer >= 2"),
        (["--seed", "-1"], "seed must be an integer >= 0"),
        (["--on-failure", "ignore"], "on_failure must be one of"),
        (["--data", "imagenet"], "unknown data set"),
        (["--n", "1"], "n must be an integer >= 2"),
    ],
)
def test_wrong_options(file, tmp_path, arguments, words):
    check_refused(run(file, *SMALL, *arguments, "--out", tmp_path / "out"), words, tmp_path / "out")


def test_an_unwritable_folder_is_refused_before_any_work(file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run(file, "--data", "mnist", "--data-dir", tmp_path / "absent", "--out", tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert "mnist" not in result.stderr
