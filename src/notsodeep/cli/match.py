"""``notsodeep match``: the shallow network with the kernel of a DEQ, checked on data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from notsodeep.cli.console import print_report, stage_bar
from notsodeep.cli.options import (
    Activation,
    Classes,
    DataDir,
    DataName,
    Error,
    Family,
    Json,
    Kernel,
    MaxDepth,
    Scale,
    SigmaA2,
    SigmaB2,
    Sparsity,
    Weights,
    labels,
)
from notsodeep.cli.options import weights as weight_names

OUT = Path("notsodeep-match")


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("match")(match)


def match(
    context: typer.Context,
    activation: Activation = "relu",
    sigma_a2: SigmaA2 = 0.2,
    sigma_b2: SigmaB2 = 0.8,
    data: DataName = "digits",
    classes: Classes = None,
    n: Annotated[int | None, typer.Option("--n", help="Training samples; 1200 if there are as many.")] = None,
    scale: Scale = "mean",
    kernel: Kernel = "ck",
    trainable: Annotated[
        str, typer.Option(help="Weights that the DEQ's NTK trains: all, or names as in recurrent,readout.")
    ] = "all",
    family: Family = "auto",
    max_depth: MaxDepth = 2,
    error: Error = None,
    width: Annotated[int, typer.Option(help="Width of the finite networks.")] = 1024,
    weights: Weights = "gaussian",
    sparsity: Sparsity = None,
    seed: Annotated[int, typer.Option(help="Seed of the samples and of the weights.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the results; files of an earlier run are replaced.")] = OUT,
    as_json: Json = False,
) -> None:
    """Find the shallow explicit network with the kernels of a deep equilibrium model, and check it on data.

    Prints the coefficients of both, how far their exact kernels are apart on the data, the accuracies and the cost
    of both. Writes match.json, net.safetensors (for notsodeep.load), report.html and report.png.

    Example: notsodeep match --activation tanh --data mnist --classes 6,8 --n 2000
    """
    from notsodeep.experiments.samples import load_samples
    from notsodeep.experiments.twin import STAGES, TwinConfig, check_model, run_twin
    from notsodeep.report import check_folder, headline, json_text, twin_document, twin_tables, write_twin
    from notsodeep.spec import DEQ

    config = TwinConfig(
        deq=DEQ(activation, sigma_a2, sigma_b2),
        kernel=kernel,
        trainable=weight_names(trainable),
        family=family,
        max_depth=max_depth,
        error=error,
        width=width,
        weights=weights,
        sparsity=sparsity,
        seed=seed,
    )
    check_model(config)  # what is wrong with the model shows before any work
    check_folder(out)
    with stage_bar(len(STAGES) + 2) as progress:
        progress("loading data")
        samples = load_samples(data, labels(classes), n, seed=seed, scale=scale, data_dir=data_dir)
        result = run_twin(config, samples, progress)
        progress("writing the report")
        paths = write_twin(result, out, _command(context))
    if as_json:
        typer.echo(json_text(twin_document(result)), nl=False)
    else:
        print_report(headline(result), twin_tables(result), paths, last="report.html")


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
