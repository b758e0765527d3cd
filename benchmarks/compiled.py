"""``nsd.compile`` on MNIST: DEQs as drawn and with all weights trained, at equal and at larger width.

The samples that are held out take no part in training, in matching or in any readout.
"""

from __future__ import annotations

import argparse
import copy

import torch
from measuring import header, machine, row

import notsodeep as nsd
from notsodeep.compiler.states import split
from notsodeep.networks import TrainSettings, class_indices, train

HOLDOUT = 0.2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--n", type=int, default=10_000, help="samples, a fifth of which is held out")
    parser.add_argument("--width", type=int, default=256, help="of the DEQ")
    parser.add_argument("--epochs", type=int, default=10, help="of training all weights")
    given = parser.parse_args()
    data = nsd.load_dataset("mnist", n=given.n, data_dir=given.data_dir)
    fit, _ = split(given.n, HOLDOUT, 0)
    inside, y = torch.from_numpy(data.X[fit]).float(), class_indices(data.y[fit], data.classes)
    sizes = f"{len(fit)} samples to fit and {given.n - len(fit)} held out; DEQs of width {given.width}"
    print(f"{machine()}; MNIST, {sizes}.\n")
    header(
        *("DEQ", "weights", "covered", "own kernel, drawn ones: % off", "readout", "width"),
        *("DEQ: right, %", "network: right, %", "same class, %", "DEQ / network: time", "products"),
    )
    for phi in ("relu", "tanh"):
        drawn = nsd.DEQ(phi).to_torch(data.p, given.width, len(data.classes), seed=1).float()
        trained = copy.deepcopy(drawn)
        settings = TrainSettings("all", optimizer="adam", lr=1e-3, epochs=given.epochs, parametrization="standard")
        train(trained, inside, y, settings)
        for name, net in (("drawn", drawn), ("trained", trained)):
            for readout, factor in (("labels", 1), ("distilled", 1), ("distilled", 8)):
                width = factor * given.width
                done = nsd.compile(net, data.X, data.y, readout=readout, width=width, holdout=HOLDOUT)
                row(phi, name, *cells(done, readout, width))


def cells(done, readout, width):
    found = done.fidelity
    against = "own" if readout == "distilled" else "refitted"
    right, same = found.predictions.accuracy, found.predictions.agreement[against]
    drawn = [100.0 * gap.centred.frobenius for gap in found.kernel.drawn]
    deq, network = found.cost["deq"], found.cost["network"]
    return (
        "yes" if done.covered else "no",
        f"{100.0 * found.kernel.own.centred.frobenius:.0f}, {min(drawn):.0f} to {max(drawn):.0f}",
        f"{readout} ({against} readout of the DEQ)",
        width,
        *(f"{100.0 * share:.1f}" for share in (right[against], right["network"], same)),
        f"{deq.seconds / network.seconds:.1f}",
        f"{deq.products} / {network.products}",
    )


if __name__ == "__main__":
    main()
