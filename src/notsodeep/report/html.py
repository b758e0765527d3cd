"""The main job's result as one HTML page that needs nothing but itself."""

from __future__ import annotations

import torch

from notsodeep._version import __version__
from notsodeep.experiments.twin import TwinResult
from notsodeep.report.numerals import percent
from notsodeep.report.page import inlined, render
from notsodeep.report.tables import twin_tables
from notsodeep.report.wording import headline, kernel_words, picture_words


def twin_html(result: TwinResult, figure_png: bytes, command: str | None = None) -> str:
    """Return the page: what was found, the tables, the picture ``figure_png``, how to use it and how it was made.

    ``command`` is the command line that made the result, when there was one.
    """
    return render(
        "twin.html",
        headline=headline(result),
        kernel=result.match.kernel,
        tables=twin_tables(result),
        picture=inlined(figure_png),
        alt=picture_words(result),
        data=result.samples.train,
        width=result.config.width,
        settings=_settings(result, command),
    )


def _settings(result: TwinResult, command: str | None) -> dict[str, str]:
    """What the page says about how it was made, by name."""
    train, config = result.samples.train, result.config
    scaling = "as drawn" if train.scaler is None else f"centred, scaled by {train.scaler.mode} norm"
    sizes = f"{train.n} training and {result.samples.test.n} test samples, {train.p} features"
    settings = {
        "DEQ": repr(config.deq),
        "Kernel": kernel_words(result.match.kernel),
        "Trained weights of the DEQ": ", ".join(sorted(result.match.trainable)),
        "Family of networks": f"{result.match.family} (asked for: {config.family}, up to depth {config.max_depth})",
        "Data": f"{train.name}: {sizes}, {scaling}",
        "Classes": ", ".join(map(str, train.classes)),
        "Finite networks": f"width {config.width}, seed {config.seed}{_ternary(result)}",
        "Versions": f"notsodeep {__version__}, torch {torch.__version__}",
    }
    if result.match.kernel == "ck":
        del settings["Trained weights of the DEQ"]
    return ({"Command": command} if command else {}) | settings


def _ternary(result: TwinResult) -> str:
    sparsity = result.finite.network.options["sparsity"]
    return "" if sparsity is None else f", ternary weights of which {percent(sparsity)} are 0"
