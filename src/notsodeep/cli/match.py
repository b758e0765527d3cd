"""``notsodeep match``: the shallow network with the kernel of a DEQ, checked on data."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from notsodeep.cli.console import print_table, stage_bar
from notsodeep.cli.options import DataDir, Json

if TYPE_CHECKING:
    from notsodeep.experiments.twin import TwinResult

OUT = Path("notsodeep-match")
WIDTH = 100  # of a line of prose at most


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("match")(match)


def match(
    context: typer.Context,
    activation: Annotated[
        str, typer.Option(help="Activation of the DEQ, with parameters as in leaky_relu:slope=0.1.")
    ] = "relu",
    sigma_a2: Annotated[float, typer.Option(help="Variance of the recurrent weights.")] = 0.2,
    sigma_b2: Annotated[float, typer.Option(help="Variance of the input weights.")] = 0.8,
    data: Annotated[
        str, typer.Option(help="digits, gmm, mnist, fashion_mnist, cifar10_features, or a .npz, .npy or .csv file.")
    ] = "digits",
    classes: Annotated[str | None, typer.Option(help="Keep these classes, as in 6,8.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="Training samples; 1200 if there are as many.")] = None,
    scale: Annotated[str, typer.Option(help="mean: mean squared norm 1; sample: every norm 1.")] = "mean",
    kernel: Annotated[str, typer.Option(help="Kernel to match: ck or ntk.")] = "ck",
    trainable: Annotated[
        str, typer.Option(help="Weights that the DEQ's NTK trains: all, or names as in recurrent,readout.")
    ] = "all",
    family: Annotated[str, typer.Option(help="Family of the network: auto, hard_tanh or leaky_relu.")] = "auto",
    width: Annotated[int, typer.Option(help="Width of the finite networks.")] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the samples and of the weights.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the results; files of an earlier run are replaced.")] = OUT,
    as_json: Json = False,
) -> None:
    """Find the shallow explicit network with the kernel of a deep equilibrium model, and check it on data.

    Prints the coefficients of both, how far their exact kernels are apart on the data, the accuracies and the cost
    of both. Writes match.json, net.safetensors (for notsodeep.load), report.html and report.png.

    Example: notsodeep match --activation tanh --data mnist --classes 6,8 --n 2000
    """
    from notsodeep.experiments.samples import load_samples
    from notsodeep.experiments.twin import STAGES, TwinConfig, run_twin, solve
    from notsodeep.report import check_folder, write_twin
    from notsodeep.spec import DEQ

    config = TwinConfig(
        deq=DEQ(activation, sigma_a2, sigma_b2),
        kernel=kernel,
        trainable="all" if trainable == "all" else tuple(trainable.split(",")),
        family=family,
        width=width,
        seed=seed,
    )
    found = solve(config)  # what is wrong with the model shows before any work
    check_folder(out)
    with stage_bar(len(STAGES) + 2) as progress:
        progress("loading data")
        samples = load_samples(data, _labels(classes), n, seed=seed, scale=scale, data_dir=data_dir)
        result = run_twin(config, samples, progress, found)
        progress("writing the report")
        paths = write_twin(result, out, _command(context))
    if as_json:
        _show_json(result)
    else:
        _show(result, paths)


def _show_json(result: TwinResult) -> None:
    from notsodeep.report import twin_document

    typer.echo(json.dumps(twin_document(result), indent=2))


def _show(result: TwinResult, paths: dict[str, Path]) -> None:
    """Print the tables, then the files, the page last."""
    from notsodeep.report import headline, twin_tables

    width = min(WIDTH, get_terminal_size((WIDTH, 24)).columns)
    typer.secho(fill(headline(result), width) + "\n", bold=True)
    for table in twin_tables(result):
        typer.secho(table.title, bold=True)
        print_table(table.header, [(label, *cells) for label, cells in table.rows])
        for note in table.notes:
            typer.echo(fill(note, width))
        typer.echo("")
    for name in sorted(paths, key=lambda name: name == "report.html"):
        typer.echo(f"{name:<18} {paths[name]}")


def _command(context: typer.Context) -> str:
    """Return the command line as it was written, as far as it differs from the defaults."""
    words = ["notsodeep", "match"]
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            value = context.params[name]
            words += [parameter.opts[-1]] if value is True else [parameter.opts[-1], str(value)]
    return shlex.join(words)


def _labels(text: str | None) -> tuple[Any, ...] | None:
    """Labels separated by commas; those that read as integers are integers."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(int(part) if part.lstrip("-").isdigit() else part for part in parts)
