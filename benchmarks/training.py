"""Networks designed for DEQs at finite width: their kernels, and how they train.

``python benchmarks/training.py kernels`` compares finite networks with the exact kernels of the DEQ; ``curves`` trains
DEQs, their twins and unmatched networks, and compares the losses with what the exact kernels predict. MNIST is looked
for in ``--data-dir`` or ``NOTSODEEP_DATA``.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from finite import Task, descents, fastest_rate, predicted

import notsodeep as nsd
from notsodeep.experiments.centred import centred_mlp
from notsodeep.networks import sampled_kernel


def images(given, n, **options):
    return nsd.load_dataset("mnist", n=n, data_dir=given.data_dir, seed=0, n_test=0, **options)


def size(spec):
    """Return the number of layers of each branch."""
    return " + ".join(str(branch.depth) for branch in getattr(spec, "branches", (spec,)))


def kernels(given):
    """Kernels of finite networks against the exact ones of the DEQ, on few samples."""
    X = images(given, 8).X
    print("| activation | designed for | model | width | kernel | one network, % | mean, % | noise of the mean, % |")
    print("|---|---|---|---|---|---|---|---|")
    for phi, width in product(("relu", "gelu", "tanh"), (250, 500, 1000)):
        deq = nsd.DEQ(phi, 0.2, 0.8)
        exact_kernels = dict(zip(("CK", "NTK"), nsd.kernels(deq, X), strict=True))
        specs = {"-": deq, "NTK": nsd.match(deq, "ntk").spec, "both": nsd.match(deq, "both").spec}
        for designed, spec in specs.items():
            for kernel in ("NTK",) if designed == "NTK" else ("CK", "NTK"):
                found = sampled_kernel(
                    spec, X, width, kernel=kernel.lower(), exact=exact_kernels[kernel], draws=given.seeds
                ).frobenius
                model = "DEQ" if spec is deq else f"twin, {size(spec)}"
                errors = (f"{100 * error:.2g}" for error in (found.single, found.mean, found.chance))
                cells = phi, designed, model, f"{width}", kernel, *errors
                print(f"| {' | '.join(cells)} |", flush=True)


def curves(given):
    """Gradient descent of DEQs, their twins and unmatched networks, beside what the exact kernels predict."""
    data = images(given, 2 * given.n, classes=(6, 8))
    y = np.where(data.y == 6, -1.0, 1.0)
    found = {}
    for phi in ("relu", "gelu"):
        deq = nsd.DEQ(phi, 0.2, 0.8)
        specs = {"DEQ": deq, "twin": nsd.match(deq, "both").spec, "unmatched": centred_mlp([phi] * 2)}
        exact = {name: nsd.kernels(spec, data.X) for name, spec in specs.items()}
        ntk = exact["DEQ"][1]
        task = Task(data.X, y, given.n, given.steps, fastest_rate(ntk[: given.n, : given.n]))
        for name, spec in specs.items():
            found[phi, name] = descents(spec, task, ntk, given.width, range(given.seeds)), predicted(*exact[name], task)
    if given.image is not None:
        draw(found, given.image)
    marks = [step for step in (0, 1, 4, 16, 64, 256, 1024) if step <= given.steps]
    print(f"| activation | model | loss | {' | '.join(f'step {k}' for k in marks)} |\n|{'---|' * (3 + len(marks))}")
    for (phi, name), (runs, expected) in found.items():
        for part, what in enumerate(("training", "test")):
            drawn, linear = runs[:, :, marks, part].swapaxes(0, 1)
            cells = [f"{cell} ({k:.3g})" for cell, k in zip(with_errors(drawn), expected[marks, part], strict=True)]
            print(f"| {phi} | {name} | {what} | {' | '.join(cells)} |")
            cells = ["-", *with_errors(100 * (drawn - linear) / linear.mean(axis=0))[1:]]
            print(f"| {phi} | {name} | {what}, % off | {' | '.join(cells)} |")


def with_errors(values):
    """Return means over the first axis, with standard errors, as cells of a table."""
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return [f"{mean:.3g} ± {error:.1g}" for mean, error in zip(values.mean(axis=0), errors, strict=True)]


def draw(found, path):
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = {"DEQ": "#1b6ca8", "twin": "#d1495b", "unmatched": "#8a8a8a"}
    names = list(dict.fromkeys(phi for phi, _ in found))
    figure, axes = plt.subplots(2, len(names), figsize=(4.6 * len(names), 6.2), sharex=True, sharey="row")
    for (phi, name), (runs, expected) in found.items():
        drawn = runs[:, 0]
        for part, panel in enumerate(axes[:, names.index(phi)]):
            steps, means = np.arange(drawn.shape[1]) + 1, drawn[..., part].mean(axis=0)
            error = 2.0 * drawn[..., part].std(axis=0, ddof=1) / np.sqrt(len(drawn))
            style = "--" if name == "twin" else "-"
            panel.fill_between(steps, means - error, means + error, color=colours[name], alpha=0.2, linewidth=0)
            panel.plot(steps, means, style, color=colours[name], linewidth=1.8, label=name)
            if name != "twin":
                own = "exact NTK" if name == "DEQ" else None
                panel.plot(steps, expected[:, part], ":", color="black", linewidth=1.1, label=own)
            panel.set(xscale="log", yscale="log")
            panel.grid(alpha=0.25)
    for panel, phi in zip(axes[0], names, strict=True):
        panel.set_title({"relu": "ReLU", "gelu": "GELU"}.get(phi, phi))
    for panel in axes[-1]:
        panel.set_xlabel("steps of gradient descent + 1")
    for panel, what in zip(axes[:, 0], ("training loss", "test loss"), strict=True):
        panel.set_ylabel(what)
    axes[0, 0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    sections = {"kernels": kernels, "curves": curves}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=list(sections))
    parser.add_argument("--data-dir")
    parser.add_argument("--image", type=Path, help="file for the picture of the curves")
    parser.add_argument("--seeds", type=int, default=10, help="networks of each kind")
    parser.add_argument("--n", type=int, default=120, help="training samples, and as many for the test")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--width", type=int, default=512, help="of the networks that are trained")
    given = parser.parse_args()
    sections[given.section](given)


if __name__ == "__main__":
    main()
