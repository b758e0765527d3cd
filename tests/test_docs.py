"""The documentation names files that exist, and the public names are the ones that it promises."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import notsodeep as nsd
from notsodeep.experiments.reproduction.catalogue import study
from notsodeep.experiments.reproduction.store import RECORD, Store

ROOT = Path(__file__).parents[1]
PUBLIC = {
    "Activation",
    "ConvergenceError",
    "DEQ",
    "DataError",
    "Dataset",
    "GaussianMixture",
    "Layer",
    "MLP",
    "Parallel",
    "Statistics",
    "__version__",
    "activation",
    "ck",
    "coefficients",
    "compile",
    "diagnose",
    "equivalent",
    "errors",
    "kernels",
    "load",
    "load_dataset",
    "match",
    "ntk",
    "save",
    "spectrum",
}


def test_the_public_names_are_these():
    assert sorted(nsd.__all__) == sorted(PUBLIC)
    assert set(dir(nsd)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves_and_is_documented(name):
    value = getattr(nsd, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nsd.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "CONTRIBUTING.md", "docs/equations.md", "docs/matching.md", "docs/norm-aware.md"),
        *("docs/networks.md", "docs/notation.md", "docs/reproduction.md", "docs/spectra.md", "docs/sphere-exact.md"),
    ],
)
def test_the_paths_that_a_page_names_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"\b((?:src|tests|docs|benchmarks|examples)/[\w./-]+\.(?:py|md|json|png))", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    here = (ROOT / page).parent
    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [link for link in linked if not (here / link).exists()]
    assert not missing, f"{page} names {missing}"


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "docs/networks.md", "docs/notation.md"])
def test_the_names_that_a_page_gives_resolve(page):
    """In a fresh interpreter, where nothing but the package is imported."""
    names = sorted(set(re.findall(r"\bnsd((?:\.[A-Za-z_]\w*)+)", (ROOT / page).read_text(encoding="utf-8"))))
    code = (
        "import sys, functools, notsodeep as nsd\n"
        "for name in sys.argv[1:]: functools.reduce(getattr, name[1:].split('.'), nsd)"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_module_of_the_mathematics_is_in_the_equation_map():
    text = (ROOT / "docs/equations.md").read_text(encoding="utf-8")
    modules = [
        *(ROOT / "src/notsodeep/equivalents").glob("*.py"),
        *(ROOT / "src/notsodeep/matching").glob("*.py"),
        *(ROOT / "src/notsodeep/activations/duals").glob("*.py"),
        *(ROOT / "src/notsodeep/spectra").glob("*.py"),
    ]
    absent = [m.name for m in modules if m.name != "__init__.py" and m.name not in text]
    assert not absent


RESULTS = sorted((ROOT / "docs/reproduction").glob(f"*/{RECORD}"))


def test_the_page_of_results_says_what_the_tables_say():
    refreshed = runpy.run_path(str(ROOT / "docs/refresh.py"))["refreshed"]
    text = (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")
    assert refreshed(text) == text, "run python docs/refresh.py"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_results_are_those_of_the_declared_configuration(path):
    record, declared = json.loads(path.read_text(encoding="utf-8")), study(path.parent.name)
    assert record["config"] == json.loads(json.dumps(asdict(declared.full)))
    assert record["version"] == declared.version
    store = Store(declared, path.parent)
    assert all(store.rows(unit) for unit in declared.units(declared.full))
