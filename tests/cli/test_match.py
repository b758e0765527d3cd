"""The verb match: what it prints and writes, and what it says to wrong input."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from typer.testing import CliRunner

import notsodeep as nsd
from notsodeep.cli.app import app
from notsodeep.cli.options import FAMILY_NAMES
from notsodeep.matching import FAMILIES
from tests.cli.kit import check_refused, invoke

SMALL = ["--n", "80", "--width", "32"]
FILES = {"match.json", "net.safetensors", "report.html", "report.png"}


run = partial(invoke, "match")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("match") / "results"
    result = run(*SMALL, "--classes", "6,8", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def test_it_prints_the_tables_and_ends_with_the_report(good):
    folder, output = good
    for words in ("alpha1", "gamma2", "Status: matched", "spectral norm", "kernel ridge regression", "matrix products"):
        assert words in output
    assert output.strip().splitlines()[-1].split() == ["report.html", str(folder / "report.html")]


def test_it_writes_four_files(good):
    folder, _ = good
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_document_holds_the_numbers(good):
    folder, _ = good
    document = json.loads((folder / "match.json").read_text())
    text = json.dumps(document)
    want = nsd.coefficients(nsd.DEQ("relu"))
    assert repr(want.alpha1) in text
    assert '"matched"' in text


def test_the_network_loads_and_predicts(good):
    folder, _ = good
    net = nsd.load(folder / "net.safetensors")
    data = nsd.load_dataset("digits", classes=(6, 8), n=80)
    predicted = np.array(data.classes)[net(data.test.X).argmax(dim=1).numpy()]
    assert np.mean(predicted == data.test.y) > 0.9
    assert net.spec == nsd.match(nsd.DEQ("relu"), stats=nsd.Statistics.from_data(data.X, data.y)).spec


def test_the_page_names_the_command(good):
    folder, _ = good
    page = (folder / "report.html").read_text()
    assert "notsodeep match" in page
    assert "--classes 6,8" in page
    assert "--kernel" not in page


def test_json_is_the_only_output(tmp_path):
    result = run(*SMALL, "--activation", "tanh", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "match.json").read_text())


def test_a_ntk_of_the_paper_on_the_mixture(tmp_path):
    result = run(
        *SMALL, "--data", "gmm", "--activation", "erf", "--kernel", "ntk", "--trainable", "recurrent,readout",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "beta1" in result.stdout


def test_infeasible_is_an_answer(tmp_path):
    result = run(*SMALL, "--activation", "softplus", "--family", "three_slope", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "Status: infeasible" in result.stdout
    assert "gamma2 >= tau0^2 alpha1 + 1.034 tau0^4 alpha3 = " in " ".join(result.stdout.split())


def test_both_kernels_with_ternary_weights(tmp_path):
    result = run(
        *SMALL, "--kernel", "both", "--weights", "ternary", "--sparsity", "0.8", "--out", tmp_path / "out"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for words in ("conjugate and neural tangent kernels", "alpha1", "kappa2", "(CK) and", "hidden weights in a file"):
        assert words in " ".join(result.stdout.split())
    document = json.loads((tmp_path / "out" / "match.json").read_text())
    assert set(document["coefficients"]) == {"ck", "ntk"}
    assert document["sparsity"] == 0.8
    net = nsd.load(tmp_path / "out" / "net.safetensors")
    assert isinstance(net.spec, nsd.Parallel)
    assert net.options == {"weights": "ternary", "sparsity": 0.8}


def test_samples_of_one_norm_need_one_layer_of_hermite_polynomials(tmp_path):
    words = ("--activation", "silu", "--family", "hermite", "--error", "0.01", "--scale", "sample")
    result = run(*SMALL, *words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "out" / "match.json").read_text())
    assert (document["idle"], len(document["network"]["layers"])) == (["alpha2"], 1)
    assert document["kernel_distance"] <= 0.01
    result = run(*SMALL, *words[:4], "--out", tmp_path / "other")
    assert result.exit_code == 2
    assert "family='hermite' is for samples of equal norm" in result.stderr
    assert not (tmp_path / "other").exists()


def test_the_depth_is_a_bound(tmp_path):
    result = run(*SMALL, "--activation", "gelu", "--max-depth", "1", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "Status: infeasible" in result.stdout
    assert "one layer has alpha2 / alpha3 = 1/2" in " ".join(result.stdout.split())


def test_help_names_every_family():
    assert FAMILY_NAMES == ("auto", *FAMILIES, "hermite")
    shown = CliRunner().invoke(app, ["match", "--help"], env={"COLUMNS": "200"}).stdout
    assert all(name in shown for name in FAMILY_NAMES)


@pytest.mark.filterwarnings("default")
def test_no_global_guarantee_is_a_warning(tmp_path):
    result = run(*SMALL, "--activation", "selu", "--sigma-a2", "0.4", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning: sigma_a2 L^2 = 1.24 >= 1") == 1


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def points(n=60, p=6):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, p)), np.arange(n) % 2


def nan_data(folder):
    X, y = points()
    X[3, 2] = np.nan
    return save(folder / "nan.npz", X=X, y=y)


def infinite_data(folder):
    X, y = points()
    X[3, 2] = np.inf
    return save(folder / "inf.npz", X=X, y=y)


def zero_sample(folder):
    X, y = points()
    X[5] = 0.0
    return save(folder / "zero.npz", X=X, y=y)


def one_class(folder):
    X, y = points()
    return save(folder / "one.npz", X=X, y=0 * y)


def wrong_length(folder):
    X, y = points()
    return save(folder / "length.npz", X=X, y=y[:-1])


def few_of_a_class(folder):
    return save(folder / "few.npz", X=points()[0], y=(np.arange(60) >= 58).astype(int))


def corrupt(folder):
    path = folder / "corrupt.npz"
    path.write_bytes(b"PK\x03\x04 this is no archive")
    return path


def truncated(folder):
    whole = save(folder / "whole.npz", X=points()[0], y=points()[1]).read_bytes()
    path = folder / "truncated.npz"
    path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nan_data, "NaN or infinite"),
        (infinite_data, "NaN or infinite"),
        (zero_sample, "all zero"),
        (one_class, "one class"),
        (wrong_length, "one label a sample"),
        (corrupt, "corrupt.npz"),
        (truncated, "truncated.npz"),
        (lambda folder: folder / "absent.npz", "absent.npz"),
        (few_of_a_class, "samples of class 1, at least 4 are needed"),
    ],
)
def test_bad_data(tmp_path, make, words):
    check_refused(run(*SMALL[2:], "--data", make(tmp_path), "--out", tmp_path / "out"), words, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--activation", "rleu"], "unknown activation 'rleu'"),
        (["--activation", "relu:slope=2"], "no parameter 'slope'"),
        (["--sigma-a2", "3"], "no stable kernel fixed point"),
        (["--activation", "tanh", "--sigma-a2", "-0.1"], "sigma_a2"),
        (["--sigma-b2", "0"], "sigma_b2"),
        (["--sigma-b2", "1e300"], "sigma_b2 must be a number <="),
        (["--sigma-a2", "nan"], "sigma_a2"),
        (["--kernel", "gram"], "kernel must be one of"),
        (["--family", "cube"], "family must be one of"),
        (["--max-depth", "4"], "max_depth must be an integer <= 3"),
        (["--error", "0.1"], "error goes with family='hermite'"),
        (["--family", "hermite", "--kernel", "both"], "family='hermite' has one kernel at a time"),
        (["--family", "hermite", "--error", "1e-9", "--scale", "sample"], "error must be at least"),
        (["--weights", "ternery"], "weights must be one of"),
        (["--sparsity", "0.5"], "sparsity is of ternary weights"),
        (["--weights", "ternary", "--sparsity", "1"], "sparsity must be a number in [0, 1)"),
        (["--kernel", "both", "--width", "1"], "width must be an integer >= 2"),
        (["--trainable", "recurrent,bias"], "trainable must be"),
        (["--data", "imagenet"], "unknown data set"),
        (["--scale", "max"], "scale must be one of"),
        (["--classes", "6"], "classes must name at least two"),
        (["--classes", "6,12"], "classes has 12"),
        (["--n", "1"], "n must be an integer >= 2"),
        (["--n", "5000"], "1797"),
        (["--width", "0"], "width must be an integer >= 1"),
        (["--seed", "-1"], "seed"),
        (["--seed", "99999999999999999999999"], "seed must be an integer <="),
        (["--data", "gmm", "--n", "4"], "n must be an integer >= 8"),
    ],
)
def test_bad_options(tmp_path, arguments, words):
    check_refused(run(*SMALL, *arguments, "--out", tmp_path / "out"), words, tmp_path / "out")


def test_an_unwritable_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run("--data", "mnist", "--data-dir", tmp_path / "absent", "--out", tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert "file" in result.stderr
    assert "mnist" not in result.stderr


def test_an_unknown_option_of_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "notsodeep.cli", "match", "--sigma", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--sigma" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_little_memory_is_one_line(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4e18 bytes")

    monkeypatch.setattr("notsodeep.experiments.twin.finite_networks", refuse)
    result = run(*SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr == "error: not enough memory; lower n or width\n"
