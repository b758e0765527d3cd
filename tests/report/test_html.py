from __future__ import annotations

import base64
import re
import runpy
from html.parser import HTMLParser

import numpy as np
import pytest

from notsodeep.report import headline, twin_html, twin_tables, write_twin

PICTURE = b"\x89PNG not really"
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """What a page holds: tags with their attributes, and the text of each tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        for tag in set(self._open):
            self.texts[tag][-1] += data


def page(result, **more):
    return Page(twin_html(result, PICTURE, **more))


def test_the_result_is_the_title(any_twin):
    found = page(any_twin)
    assert found.texts["title"] == found.texts["h1"] == [headline(any_twin)]


def test_the_page_needs_nothing_else(any_twin):
    text = twin_html(any_twin, PICTURE)
    tags = Page(text).tags
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in tags}
    addresses = [value for _, attrs in tags for name, value in attrs.items() if name in {"src", "href", "srcset"}]
    assert [address[:22] for address in addresses] == ["data:image/png;base64,"]
    assert base64.b64decode(addresses[0][22:]) == PICTURE
    assert not re.search(r"https?://|url\(|@import", text)


def test_the_picture_has_words(any_twin):
    images = [attrs for tag, attrs in page(any_twin).tags if tag == "img"]
    assert len(images) == 1
    assert len(images[0]["alt"]) > 100


def test_every_table_is_on_the_page(any_twin):
    found, tables = page(any_twin), twin_tables(any_twin)
    assert found.texts["caption"] == [table.title for table in tables]
    assert found.texts["td"] == [cell for table in tables for _, cells in table.rows for cell in cells]
    heads = [[*table.header, *(label for label, _ in table.rows)] for table in tables]
    assert found.texts["th"] == [text for texts in heads for text in texts]
    paragraphs = found.texts["p"]
    assert all(note in paragraphs for table in tables for note in table.notes)


def test_the_reason_for_no_match_is_on_the_page(softplus):
    assert any(softplus.match.reason in text for text in page(softplus).texts["p"])


@pytest.mark.parametrize(("name", "words"), [("relu", "Its conjugate"), ("gelu", "Its neural tangent")])
def test_the_kernel_is_explained(name, words, request):
    first = page(request.getfixturevalue(name)).texts["p"][0]
    assert words in first
    assert "with the same kernel treats" in first


def test_both_kernels_are_explained(both):
    first = page(both).texts["p"][0]
    assert "Its conjugate kernel" in first
    assert "its neural tangent kernel" in first
    assert "with the same kernels treats" in first


def test_how_it_was_made(tanh_ntk, relu):
    found = page(tanh_ntk, command="notsodeep match --kernel ntk")
    settings = dict(zip(found.texts["dt"], found.texts["dd"], strict=True))
    assert settings["Command"] == "notsodeep match --kernel ntk"
    assert settings["DEQ"] == repr(tanh_ntk.config.deq)
    assert settings["Trained weights of the DEQ"] == "input, readout, recurrent"
    assert settings["Finite networks"] == "width 32, seed 3"
    assert "120 training and 60 test samples, 64 features" in settings["Data"]
    settings = page(relu).texts["dt"]
    assert "Command" not in settings
    assert "Trained weights of the DEQ" not in settings


def test_ternary_weights_are_told(softplus):
    found = page(softplus)
    settings = dict(zip(found.texts["dt"], found.texts["dd"], strict=True))
    assert settings["Finite networks"] == "width 32, seed 3, ternary weights of which 75 % are 0"
    assert settings["Family of networks"] == "three_slope (asked for: three_slope, up to depth 2)"


def test_names_cannot_break_the_page(hostile):
    text = twin_html(hostile, PICTURE, command="notsodeep match --data '<i>'")
    assert "<script" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    found = Page(text)
    settings = dict(zip(found.texts["dt"], found.texts["dd"], strict=True))
    assert settings["Classes"].startswith('<b>bold</b>, a & b, "quoted", $x^$')
    assert settings["Command"].endswith("'<i>'")
    assert found.texts["title"] == [headline(hostile)]


@pytest.mark.parametrize("name", ["both", "mixture"])
def test_the_example_runs_and_labels_new_samples(name, request, tmp_path, monkeypatch):
    result = request.getfixturevalue(name)
    paths = write_twin(result, tmp_path)
    test = result.samples.test
    scaler = test.scaler
    np.save(tmp_path / "samples.npy", test.X if scaler is None else test.X * scaler.scale + scaler.center)
    (tmp_path / "example.py").write_text(Page(paths["report.html"].read_text(encoding="utf-8")).texts["code"][0])
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path("example.py")
    share = np.mean(np.array(made["labels"]) == test.y)
    assert abs(share - result.finite.accuracy["network"]) <= 1.0 / test.n
    assert made["features"].shape == (test.n, 32)


def test_colours_for_dark_screens_and_paper(relu):
    (style,) = page(relu).texts["style"]
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
