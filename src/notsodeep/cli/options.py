"""Options that several verbs share, and how their words are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

FAMILY_NAMES = (
    "auto",
    "hard_tanh",
    "leaky_relu",
    "soft_slopes",
    "three_slope",
    "quadratic",
    "cubic",
    "quartic",
    "hermite",
)  # written out: importing them would make --help slow

Activation = Annotated[str, typer.Option(help="Activation of the DEQ, with parameters as in leaky_relu:slope=0.1.")]
SigmaA2 = Annotated[float, typer.Option(help="Variance of the recurrent weights.")]
SigmaB2 = Annotated[float, typer.Option(help="Variance of the input weights.")]
DataName = Annotated[
    str, typer.Option(help="digits, gmm, mnist, fashion_mnist, cifar10_features, or a .npz, .npy or .csv file.")
]
Classes = Annotated[str | None, typer.Option(help="Keep these classes, as in 6,8.")]
Scale = Annotated[str, typer.Option(help="mean: mean squared norm 1; sample: every norm 1.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Data folder. Else the variable NOTSODEEP_DATA, else the cache folder of the user."),
]
Kernel = Annotated[str, typer.Option(help="Kernel to match: ck, ntk or both.")]
Family = Annotated[
    str, typer.Option(help=f"Family of the network: {', '.join(FAMILY_NAMES)}; hermite needs samples of equal norm.")
]
MaxDepth = Annotated[int, typer.Option(help="Most hidden layers one after another: 1 to 3.")]
Error = Annotated[
    float | None, typer.Option(help="For hermite: largest difference of entries, relative to the diagonal; else 0.1.")
]
Weights = Annotated[str, typer.Option(help="Hidden weights of the finite network: gaussian or ternary.")]
Sparsity = Annotated[float | None, typer.Option(help="Share of zeros among ternary weights; 0.9 if not given.")]
Loss = Annotated[str, typer.Option(help="Loss: cross_entropy or mse.")]
Optimizer = Annotated[str, typer.Option(help="Optimizer: sgd or adam.")]
LearningRate = Annotated[float, typer.Option("--lr", help="Learning rate: 1 suits sgd, 0.01 adam.")]
Epochs = Annotated[int, typer.Option(help="Most passes over the training samples.")]
BatchSize = Annotated[int, typer.Option(help="Samples of one step.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def labels(text: str | None) -> tuple[Any, ...] | None:
    """Return labels separated by commas; those that read as integers are integers."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(int(part) if part.lstrip("-").isdigit() else part for part in parts)


def weights(text: str) -> str | tuple[str, ...]:
    """Return the names of trained weights, separated by commas, or ``"all"``."""
    return "all" if text == "all" else tuple(text.split(","))
