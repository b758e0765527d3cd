"""The shape of the source: imports point down only, torch waits until it is needed, and a few habits are kept out."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import notsodeep as nsd

ROOT = Path(nsd.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

LEVELS = {
    "_version": 0,
    "checks": 0,
    "errors": 0,
    "files": 0,
    "activations": 1,
    "data": 1,
    "spec": 1,
    "kernels": 2,
    "equivalents": 3,
    "matching": 4,
    "networks": 4,
    "spectra": 4,
    "adapters": 5,
    "compiler": 5,
    "experiments": 6,
    "report": 6,
    "cli": 7,
}
TOP = 8  # the package itself, which gives the public names, and __main__

EXCEPTIONS = {
    ("spec/models.py", "notsodeep.networks"): "to_torch, called by a person, builds the network that belongs to a spec",
}


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def level(module: str) -> int:
    """Return the level of a module by its dotted name."""
    parts = module.split(".")
    return LEVELS[parts[1]] if len(parts) > 1 and parts[1] in LEVELS else TOP


def level_of_file(path: Path) -> int:
    return level("notsodeep." + place(path).removesuffix(".py").replace("/", "."))


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported anywhere in a file, inside functions too, as dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            submodules = [f"{module}.{alias.name}" for alias in node.names]
            yield from submodules if module == "notsodeep" else [module]


def upward(path: Path, tree: ast.AST) -> list[str]:
    """Return the imports of a file that do not point down (or sideways, within its own folder or its level)."""
    own = level_of_file(path)
    ours = [name for name in imports(tree) if name.split(".")[0] == "notsodeep"]
    return [name for name in ours if level(name) > own and (place(path), name) not in EXCEPTIONS]


@pytest.fixture(params=FILES, ids=place)
def path(request) -> Path:
    return request.param


@pytest.fixture
def tree(path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_part_of_the_package_has_a_level():
    parts = {place(path).split("/")[0].removesuffix(".py") for path in FILES}
    assert parts - {"__init__", "__main__"} <= LEVELS.keys()


def test_imports_point_down(path, tree):
    assert not upward(path, tree)


def test_no_relative_and_no_star_imports(tree):
    assert not [name for name in imports(tree) if name.startswith(".")]
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [node.lineno for node in froms if any(alias.name == "*" for alias in node.names)]


def test_exceptions_are_used():
    for file, module in EXCEPTIONS:
        assert module in set(imports(ast.parse((ROOT / file).read_text(encoding="utf-8"))))


def test_no_prints_outside_the_command_line(path, tree):
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "print"]
    assert place(path).startswith("cli/") or not [call.lineno for call in calls]


def test_no_assert_statements(tree):
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize(
    ("file", "code", "found"),
    [
        ("activations/mesh.py", "from notsodeep.kernels import scalar", ["notsodeep.kernels"]),
        ("activations/mesh.py", "def f():\n    import notsodeep.cli.app", ["notsodeep.cli.app"]),
        ("kernels/scalar.py", "from notsodeep import matching, spec", ["notsodeep.matching"]),
        ("kernels/scalar.py", "from notsodeep import DEQ", ["notsodeep.DEQ"]),
        ("kernels/scalar.py", "import numpy\nfrom notsodeep.kernels.x import y\nfrom notsodeep.errors import z", []),
        ("spec/models.py", "from notsodeep.networks import DEQNetwork", []),
        ("errors.py", "from notsodeep.networks import DEQNetwork", ["notsodeep.networks"]),
        ("__init__.py", "from notsodeep.cli import app", []),
    ],
)
def test_the_check_of_levels_sees_what_it_should(file, code, found):
    assert upward(ROOT / file, ast.parse(code)) == found


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after ``code``."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_is_light():
    loaded = loaded_by("import notsodeep")
    assert "notsodeep" in loaded
    assert not loaded & {"torch", "scipy", "sklearn", "matplotlib", "pooch", "jinja2"}


def test_specs_and_scalars_do_without_torch():
    assert "torch" not in loaded_by("import notsodeep as nsd; nsd.DEQ('tanh'); nsd.coefficients(nsd.DEQ('tanh'))")


def test_subpackages_are_there_without_an_import_of_their_own():
    loaded_by("import notsodeep as nsd; nsd.networks.TrainSettings, nsd.data.Scaler, nsd.compiler.ImplicitLayer")
    with pytest.raises(AttributeError, match="no attribute 'tests'"):
        nsd.tests  # noqa: B018
