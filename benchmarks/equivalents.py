"""Relative spectral errors of the equivalents on image data.

``python benchmarks/equivalents.py --data-dir DIR`` compares the exact kernels (sigma_a2 = 0.2) with each form on MNIST
and Fashion-MNIST, all classes, raw scaling, statistics estimated from the same samples. On the paper's mixture against
p: ``notsodeep reproduce error-vs-p``.
"""

from __future__ import annotations

import argparse

import notsodeep as nsd
from notsodeep.experiments.reproduction.equivalent_errors import FORMS, equivalent_errors
from notsodeep.experiments.reproduction.kernels import KERNELS

ACTIVATIONS = ("relu", "tanh", "silu", "elu", "leaky_relu")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    parser.add_argument("--n", type=int, default=2000, help="samples")
    parser.add_argument("--data-dir")
    given = parser.parse_args()
    print(f"| data | activation | kernel | {' | '.join(f'{form}, %' for form in FORMS)} |")
    for name in ("mnist", "fashion_mnist"):
        X, y = nsd.load_dataset(name, n=given.n, data_dir=given.data_dir)
        stats = nsd.Statistics.from_data(X, y)
        for activation in given.activations:
            errors = equivalent_errors(nsd.DEQ(activation, 0.2, 0.8), X, stats)
            for kernel in KERNELS:
                row = " | ".join(f"{100 * errors[kernel, form]:.2f}" for form in FORMS)
                print(f"| {name} | {activation} | {kernel} | {row} |", flush=True)


if __name__ == "__main__":
    main()
