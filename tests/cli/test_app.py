import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

import notsodeep
from notsodeep._version import __version__
from notsodeep.cli.app import app
from notsodeep.errors import ConvergenceError, DataError, ScaleWarning

HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "pooch")


def python(*words, **env):
    source = str(Path(notsodeep.__file__).parents[1])
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": source} | env,
    )


def run_raising(monkeypatch, error):
    """Run a verb whose library call raises ``error``."""

    def raising(*args):
        raise error

    monkeypatch.setattr("notsodeep.data.verify", raising)
    return CliRunner().invoke(app, ["data", "verify"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("n must be\n  positive"), 2, "error: n must be positive"),
        (DataError("x.csv: cut short"), 2, "error: x.csv: cut short"),
        (PermissionError(13, "Permission denied", "x.csv"), 2, "error: [Errno 13] Permission denied: 'x.csv'"),
        (ValueError(), 2, "error: ValueError"),
        (ConvergenceError("stopped at 1e-3: raise max_steps"), 1, "error: stopped at 1e-3: raise max_steps"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_one_line_and_a_code(monkeypatch, error, code, line):
    result = run_raising(monkeypatch, error)
    assert result.exit_code == code
    assert result.stderr == line + "\n"
    assert result.stdout == ""


def test_closed_pipe_ends_quietly(monkeypatch):
    result = run_raising(monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert (result.exit_code, result.output) == (1, "")


def test_defects_are_not_hidden(monkeypatch):
    assert isinstance(run_raising(monkeypatch, ZeroDivisionError("a defect")).exception, ZeroDivisionError)


@pytest.mark.filterwarnings("default")
def test_warnings_of_the_library_are_one_line(monkeypatch):
    def warning(*args):
        warnings.warn("mean squared norm 3,\n  not 1", ScaleWarning, stacklevel=1)
        return ()

    monkeypatch.setattr("notsodeep.data.verify", warning)
    result = CliRunner().invoke(app, ["data", "verify", "digits"])
    assert result.exit_code == 0
    assert result.stderr == "warning: mean squared norm 3, not 1\n"


def test_warnings_of_others_keep_their_form(monkeypatch):
    def warning(*args):
        warnings.warn("old", FutureWarning, stacklevel=1)
        return ()

    monkeypatch.setattr("notsodeep.data.verify", warning)
    with pytest.warns(FutureWarning, match="old"):
        CliRunner().invoke(app, ["data", "verify", "digits"])


def test_version_and_unknown_verbs():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"notsodeep {__version__}\n")
    assert CliRunner().invoke(app, ["dtaa"]).exit_code == 2
    assert CliRunner().invoke(app, ["data", "list", "--frobnicate"]).exit_code == 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from notsodeep.cli.app import app; app(['--help'], standalone_mode=False); "
        f"print(*[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "data" in done.stdout
    assert done.stderr.strip() == ""


def test_data_verbs_do_not_import_torch(tmp_path):
    code = (
        "import sys; from notsodeep.cli.app import app; "
        f"app(['data', 'verify', '--data-dir', {str(tmp_path)!r}], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    done = python("-c", code)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_the_program_ends_with_the_code_of_its_error(tmp_path):
    done = python("-m", "notsodeep.cli", "data", "fetch", "cifar10_features", NOTSODEEP_DATA=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: cifar10_features has no public address")
    assert done.stderr.count("\n") == 1


def test_the_program_prints_json_into_a_pipe(tmp_path):
    done = python("-m", "notsodeep.cli", "data", "verify", "mnist", "--json", NOTSODEEP_DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count('"missing"') == 4
