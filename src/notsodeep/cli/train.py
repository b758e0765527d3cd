"""``notsodeep train``: a finite DEQ, its twin or a plain network, trained and tested on data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from notsodeep.cli.console import print_report, step_bar
from notsodeep.cli.options import (
    Activation,
    BatchSize,
    Classes,
    DataDir,
    DataName,
    Epochs,
    Json,
    LearningRate,
    Loss,
    Optimizer,
    Scale,
    SigmaA2,
    SigmaB2,
    labels,
    weights,
)

OUT = Path("notsodeep-train")


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("train")(train)


def train(
    model: Annotated[
        str,
        typer.Option(
            help="deq; twin: the explicit network with its conjugate kernel; or plain: two layers of its activation."
        ),
    ] = "deq",
    activation: Activation = "relu",
    sigma_a2: SigmaA2 = 0.2,
    sigma_b2: SigmaB2 = 0.8,
    width: Annotated[int, typer.Option(help="Width of the network.")] = 1024,
    data: DataName = "digits",
    classes: Classes = None,
    n: Annotated[int | None, typer.Option("--n", help="Training samples; 1200 if there are as many.")] = None,
    n_test: Annotated[int | None, typer.Option(help="Test samples; 1000 if there are as many.")] = None,
    scale: Scale = "mean",
    trainable: Annotated[
        str, typer.Option(help="Weights to train: all, or names as in recurrent,readout or layer1,readout.")
    ] = "readout",
    loss: Loss = "cross_entropy",
    optimizer: Optimizer = "sgd",
    lr: LearningRate = 1.0,
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Multiple of the weights added to their gradient.")] = 0.0,
    epochs: Epochs = 100,
    batch_size: BatchSize = 128,
    parametrization: Annotated[
        str, typer.Option(help="ntk, or standard: as weights of variance sigma^2 / fan-in are trained.")
    ] = "ntk",
    validation: Annotated[float, typer.Option(help="Share of the training samples that is held out.")] = 0.0,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a lower loss on what is held out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the samples, of the weights, and of their order.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the results and the checkpoint.")] = OUT,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever the folder holds.")] = False,
    as_json: Json = False,
) -> None:
    """Train a deep equilibrium model, its shallow twin or a plain network, and test it.

    Prints the course of the training and the test accuracy. Writes train.json, history.csv, training.png and
    net.safetensors (for notsodeep.networks.load); beside them a checkpoint: a run that was interrupted goes on where
    it was when the same command is given again, and one that has ended when it is given with more --epochs.

    Example: notsodeep train --model twin --activation tanh --trainable all --epochs 20
    """
    from notsodeep.experiments.samples import load_samples
    from notsodeep.experiments.training import TrainingConfig, model_spec, run_training
    from notsodeep.networks import TrainSettings
    from notsodeep.networks.training import FILES
    from notsodeep.report import (
        TRAINING_FILES,
        check_folder,
        json_text,
        training_document,
        training_headline,
        training_tables,
        write_training,
    )
    from notsodeep.spec import DEQ

    settings = TrainSettings(
        trainable=weights(trainable),
        loss=loss,
        optimizer=optimizer,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        parametrization=parametrization,
        validation=validation,
        patience=patience,
    )
    config = TrainingConfig(DEQ(activation, sigma_a2, sigma_b2), model, width, settings)
    model_spec(config)  # what is wrong with the model shows before any work
    check_folder(out, (*TRAINING_FILES, *FILES))
    samples = load_samples(data, labels(classes), n, n_test, seed=seed, scale=scale, data_dir=data_dir)
    with step_bar() as progress:
        result = run_training(config, samples, out, restart=restart, progress=progress)
    paths = write_training(result, out)
    if as_json:
        typer.echo(json_text(training_document(result)), nl=False)
    else:
        print_report(training_headline(result), training_tables(result), paths, last="training.png")
