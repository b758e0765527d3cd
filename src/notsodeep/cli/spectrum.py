"""``notsodeep spectrum``: the eigenvalues of a kernel matrix, exact and predicted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notsodeep.cli.console import print_report, stage_bar
from notsodeep.cli.options import Activation, Classes, DataDir, DataName, Json, Scale, SigmaA2, SigmaB2, labels, weights

if TYPE_CHECKING:
    from notsodeep.spec import Spec

OUT = Path("notsodeep-spectrum")
_OF_A_DEQ = ("activation", "sigma_a2", "sigma_b2", "center")


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("spectrum")(spectrum)


def spectrum(
    context: typer.Context,
    activation: Activation = "relu",
    sigma_a2: SigmaA2 = 0.2,
    sigma_b2: SigmaB2 = 0.8,
    center: Annotated[bool, typer.Option(help="Center the activation of the DEQ.")] = True,
    layers: Annotated[
        str | None,
        typer.Option(help="Instead of a DEQ, an explicit network with these activations, centred, as in relu,tanh."),
    ] = None,
    kernel: Annotated[str, typer.Option(help="Kernel: ck or ntk.")] = "ck",
    trainable: Annotated[
        str, typer.Option(help="Weights that the NTK trains: all, or names as in recurrent,readout or layer1,readout.")
    ] = "all",
    data: DataName = "gmm",
    classes: Classes = None,
    n: Annotated[int | None, typer.Option("--n", help="Samples; 800 if there are as many.")] = None,
    scale: Scale = "mean",
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the results; files of an earlier run are replaced.")] = OUT,
    as_json: Json = False,
) -> None:
    """Compute the eigenvalues of a kernel matrix on data, and predict them by random matrix theory.

    Prints the isolated eigenvalues, how their eigenvectors are aligned with the classes, the bulk, and how far the
    matrices behind the prediction are from the exact kernel. Writes spectrum.json, spectrum.csv and spectrum.png.

    Example: notsodeep spectrum --activation tanh --kernel ntk --data mnist --classes 6,8 --n 2000
    """
    from notsodeep.checks import choice
    from notsodeep.experiments.spectrum import STAGES, SpectrumConfig, load_spectrum_samples, run_spectrum
    from notsodeep.kernels.scalar import rest_point
    from notsodeep.report import (
        SPECTRUM_FILES,
        check_folder,
        json_text,
        spectrum_document,
        spectrum_headline,
        spectrum_tables,
        write_spectrum,
    )
    from notsodeep.report.wording import KERNELS
    from notsodeep.spec import DEQ, trainable_weights

    spec = DEQ(activation, sigma_a2, sigma_b2, center=center) if layers is None else _explicit(context, layers)
    config = SpectrumConfig(spec, choice("kernel", kernel, KERNELS), weights(trainable))
    trainable_weights(spec, config.trainable)
    if isinstance(spec, DEQ):
        rest_point(spec)  # what is wrong with the model shows before any work
    check_folder(out, SPECTRUM_FILES)
    with stage_bar(len(STAGES) + 2) as progress:
        progress("loading data")
        samples = load_spectrum_samples(data, labels(classes), n, seed=seed, scale=scale, data_dir=data_dir)
        result = run_spectrum(config, samples, progress)
        progress("writing the report")
        paths = write_spectrum(result, out)
    if as_json:
        typer.echo(json_text(spectrum_document(result)), nl=False)
    else:
        print_report(spectrum_headline(result), spectrum_tables(result), paths, last="spectrum.png")


def _explicit(context: typer.Context, layers: str) -> Spec:
    """Return the network that ``--layers`` describes; refuse what describes a DEQ."""
    from notsodeep.experiments.centred import centred_mlp

    given = [name for name in _OF_A_DEQ if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    if given:
        raise ValueError(
            f"layers makes an explicit network, and {given[0]} is of a DEQ: leave one of the two options out"
        )
    return centred_mlp(split_layers(layers))


def split_layers(text: str) -> list[str]:
    """Return activations that are separated by commas, as are the parameters of one.

    Examples
    --------
    >>> split_layers("relu, two_slope:a=1,b=0.25,tanh")
    ['relu', 'two_slope:a=1,b=0.25', 'tanh']
    """
    parts = re.split(r",(?![^,:]*=)", text)  # not before the next key=value
    return [part.strip() for part in parts if part.strip()]
