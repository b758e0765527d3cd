"""``notsodeep compile``: a shallow network in the place of a DEQ that is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from notsodeep.cli.console import print_report, stage_bar
from notsodeep.cli.options import Classes, DataDir, DataName, Family, Json, Kernel, Scale, labels

OUT = Path("notsodeep-compile")


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("compile")(compile_)


def compile_(
    net: Annotated[
        Path | None,
        typer.Argument(help="File of a DEQ network, as notsodeep.save writes it; without one, a ReLU DEQ is drawn."),
    ] = None,
    data: DataName = "digits",
    classes: Classes = None,
    n: Annotated[int | None, typer.Option("--n", help="Samples; 1200 if there are as many.")] = None,
    scale: Scale = "mean",
    kernel: Kernel = "ck",
    family: Family = "auto",
    width: Annotated[int | None, typer.Option(help="Width of the network; that of the DEQ if not given.")] = None,
    readout: Annotated[
        str, typer.Option(help="Fit the readout to the labels, or distilled from the DEQ's own outputs.")
    ] = "labels",
    holdout: Annotated[float, typer.Option(help="Share of the samples that nothing is fitted on.")] = 0.2,
    on_failure: Annotated[
        str, typer.Option(help="raise: stop at samples without equilibrium; return: leave them out.")
    ] = "raise",
    seed: Annotated[int, typer.Option(help="Seed of the samples, of their split and of the weights.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the results; files of an earlier run are replaced.")] = OUT,
    as_json: Json = False,
) -> None:
    """Put a shallow explicit network in the place of a DEQ that has weights of its own, and compare the two.

    Says whether the weights are random enough for the theory, and how alike both are on held-out samples. Writes
    compile.json and net.safetensors (for notsodeep.load). A run that was interrupted goes on with the states of the DEQ
    that it has in the folder.

    Example: notsodeep compile deq.safetensors --data mnist --n 10000 --readout distilled
    """
    from notsodeep.compiler.options import Options
    from notsodeep.experiments.compilation import (
        STAGES,
        check_fit,
        drawn_deq,
        load_deq,
        remove_states,
        run_compilation,
    )
    from notsodeep.experiments.samples import load_samples
    from notsodeep.report import (
        COMPILED_FILES,
        check_folder,
        compiled_document,
        compiled_tables,
        json_text,
        write_compiled,
    )

    options = Options(kernel, width, readout, family, holdout, seed=seed, on_failure=on_failure)
    deq = None if net is None else load_deq(net)
    folder = check_folder(out, COMPILED_FILES)
    states = folder / "states" if on_failure == "raise" else None
    with stage_bar(len(STAGES) + 2) as progress:
        progress("loading data")
        samples = load_samples(data, labels(classes), n, 1, seed, scale, data_dir).train
        deq = drawn_deq(samples) if deq is None else deq
        check_fit(deq, samples)
        if states is not None:
            states.mkdir(parents=True, exist_ok=True)
        source = "a drawn ReLU DEQ" if net is None else str(net)
        result = run_compilation(deq, source, samples, options, states, progress)
        progress("writing the results")
        paths = write_compiled(result, out)
        if states is not None:
            remove_states(states)
    if as_json:
        typer.echo(json_text(compiled_document(result)), nl=False)
    else:
        print_report(result.compiled.verdict, compiled_tables(result), paths, last="net.safetensors")
