"""The documentation names files that exist, and the public names are the ones that it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import notsodeep as nsd

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
        *("docs/networks.md", "docs/notation.md", "docs/spectra.md", "docs/sphere-exact.md"),
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
