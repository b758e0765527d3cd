"""Networks designed for DEQs: over a grid of DEQs, on image data, and for both kernels at once.

``python benchmarks/matching.py grid`` designs one for every DEQ of a grid (``--save`` keeps the table; what it has is
not done again), ``data`` compares exact kernels on MNIST and Fashion-MNIST, ``both`` designs for CK and NTK together.
Images are looked for in ``--data-dir`` or ``NOTSODEEP_DATA``.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
from grid import ACTIVATIONS, KERNELS, deqs, name_of

import notsodeep as nsd
from notsodeep.activations.lipschitz import lipschitz
from notsodeep.errors import ConvergenceError, StabilityWarning
from notsodeep.experiments.centred import centred_mlp
from notsodeep.files import replacing
from notsodeep.kernels.distance import relative_distance
from notsodeep.kernels.progress import Progress

FIELDS = ("activation", "sigma_a2", "tau0", "kernel", "family", "layers", "status", "residual", "distance", "seconds")
ON_DATA = (
    *("relu", "leaky_relu", "tanh", "erf", "hardtanh", "sigmoid", "silu", "gelu", "elu", "softplus"),
    *("cos", "selu", "mish"),
)
BOTH = ("relu", "tanh", "gelu", "silu", "elu")


def size(spec):
    """Return the number of layers of each branch."""
    return " + ".join(str(branch.depth) for branch in getattr(spec, "branches", (spec,)))


def key_of(deq, kernel):
    return name_of(deq.activation), f"{deq.sigma_a2:g}", f"{deq.tau0:g}", kernel


def row_of(deq, kernel):
    start = time.process_time()
    name, trainable = KERNELS[kernel]
    try:
        m = nsd.match(deq, name, trainable=trainable, on_failure="return")
        found = m.family, size(m.spec), m.status, f"{m.residual:.1e}", f"{m.distance:.1e}"
    except (np.linalg.LinAlgError, ConvergenceError) as error:  # it is counted as not matched
        found = "none", "0", type(error).__name__, "nan", "nan"
    seconds = time.process_time() - start
    return dict(zip(FIELDS, (*key_of(deq, kernel), *found, f"{seconds:.2f}"), strict=True))


def saved(path):
    """Return the rows that are done, by DEQ and kernel."""
    if path is None or not path.exists():
        return {}
    with path.open(newline="") as file:
        return {tuple(row[name] for name in FIELDS[:4]): row for row in csv.DictReader(file)}


def save(rows, path):
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def grid(given):
    nsd.match(nsd.DEQ("relu"), "both")  # compiles the loops
    done, cases = saved(given.save), list(product(deqs(), KERNELS))
    with Progress(len(cases), "designs") as progress:
        for deq, kernel in cases:
            key = key_of(deq, kernel)
            if key not in done:
                done[key] = row_of(deq, kernel)
                if given.save is not None:
                    save(done.values(), given.save)
            progress.advance()
    columns = "networks | not matched | largest residual | distance, median | largest | seconds, median | largest"
    print(f"| activation | kernel | {columns} |\n|{'---|' * 9}")
    for phi, kernel in product(map(name_of, ACTIVATIONS), KERNELS):
        summary([phi, kernel], [row for row in done.values() if (row["activation"], row["kernel"]) == (phi, kernel)])
    for kernel in KERNELS:
        summary(["all", kernel], [row for row in done.values() if row["kernel"] == kernel])


def summary(cells, rows):
    kinds = Counter(f"{row['family']} x {row['layers']}" for row in rows)
    residual, distance, seconds = (np.array([float(row[name]) for row in rows]) for name in FIELDS[-3:])
    found = [
        ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
        f"{sum(row['status'] != 'matched' for row in rows)}",
        f"{np.nanmax(residual):.1e}",
        f"{np.nanmedian(distance):.1e}",
        f"{np.nanmax(distance):.1e}",
        f"{np.median(seconds):.2f}",
        f"{seconds.max():.1f}",
    ]
    print(f"| {' | '.join([*cells, *found])} |")


def exact(spec, kernel, X, trainable="all"):
    return nsd.ck(spec, X) if kernel == "ck" else nsd.ntk(spec, X, trainable=trainable)


def images(name, given, **options):
    return nsd.load_dataset(name, data_dir=given.data_dir, seed=0, n_test=0, **options)


def on_data(given):
    columns = "network | with statistics, % | network | without, % | unmatched, %"
    print(f"| data | activation | kernel | {columns} |\n|{'---|' * 8}")
    for data in ("mnist", "fashion_mnist"):
        X = images(data, given, n=given.n).X
        stats = nsd.Statistics.from_data(X)
        for phi, (label, (kernel, trainable)) in product(ON_DATA, KERNELS.items()):
            deq = nsd.DEQ(phi, 0.2, 0.8)
            wanted = exact(deq, kernel, X, trainable)
            cells = []
            for known in (stats, None):
                m = nsd.match(deq, kernel, trainable=trainable, stats=known)
                cells += [f"{m.family} x {size(m.spec)}", off(wanted, exact(m.spec, kernel, X))]
            unmatched = centred_mlp([phi] * m.spec.depth)
            row = data, phi, label, *cells, off(wanted, exact(unmatched, kernel, X))
            print(f"| {' | '.join(row)} |", flush=True)


def off(wanted, found):
    return f"{100 * relative_distance(wanted, found).spectral:.2g}"


def both(given):
    X = images("mnist", given, n=given.n).X
    stats = nsd.Statistics.from_data(X)
    columns = "network | largest slope | residual | CK, % | NTK, % | with statistics | CK, % | NTK, % | seconds"
    print(f"| activation | sigma_a2 | trained | {columns} |\n|{'---|' * 12}")
    for phi, a2, trainable in product(BOTH, (0.2, 0.5), ("all", ("recurrent", "readout"))):
        deq = nsd.DEQ(phi, a2, 1.0 - a2)
        wanted = nsd.kernels(deq, X, trainable=trainable)
        start = time.process_time()
        found = nsd.match(deq, "both", trainable=trainable)
        seconds = time.process_time() - start
        fitted = nsd.match(deq, "both", trainable=trainable, stats=stats)
        cells = [phi, f"{a2:g}", "all" if trainable == "all" else "{A, w}"]
        for m in (found, fitted):
            cells.append(f"{m.family} x {size(m.spec)}")
            if m is found:
                branches = getattr(m.spec, "branches", (m.spec,))
                steepest = max(lipschitz(layer.activation) for mlp in branches for layer in mlp.layers)
                cells += [f"{steepest:.2f}", f"{m.residual:.1e}"]
            cells += [off(*pair) for pair in zip(wanted, nsd.kernels(m.spec, X), strict=True)]
        print(f"| {' | '.join(cells)} | {seconds:.2f} |", flush=True)


def main():
    sections = {"grid": grid, "data": on_data, "both": both}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=list(sections))
    parser.add_argument("--data-dir")
    parser.add_argument("--save", type=Path, help="file for the table of the grid")
    parser.add_argument("--n", type=int, default=2000, help="samples of the exact kernels")
    given = parser.parse_args()
    warnings.simplefilter("ignore", StabilityWarning)
    sections[given.section](given)


if __name__ == "__main__":
    main()
