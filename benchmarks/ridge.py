"""Ridge regression on more features than memory holds, batch by batch.

``python benchmarks/ridge.py`` streams a million samples of 4096 random features with planted weights through
``RidgeReadout``: time against the products ``F^T F`` alone, peak of memory, and the error of the weights against what
least squares must have.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import torch
from measuring import machine, peak, seconds

from notsodeep.networks import RidgeReadout

OUTPUTS, NOISE = 10, 0.5


def stream(given):
    """Yield batches of features, uniform with variance 1, and of targets: planted weights, and noise."""
    draw = torch.Generator().manual_seed(1)
    planted = planted_weights(given)
    for start in range(0, given.n, given.batch):
        rows = min(given.batch, given.n - start)
        features = (torch.rand(rows, given.width, generator=draw) - 0.5).mul_(math.sqrt(12.0))
        noise = NOISE * torch.randn(rows, OUTPUTS, generator=draw)
        yield features, features @ planted.T + noise


def planted_weights(given):
    return torch.randn(OUTPUTS, given.width, generator=torch.Generator().manual_seed(0))


def fitted(given):
    """Return the weights, the seconds of each update, and those of some products of the same batches alone."""
    readout, updates, floors = RidgeReadout(given.width, OUTPUTS, intercept=False), [], []
    for number, (features, targets) in enumerate(stream(given)):
        updates.append(seconds(lambda F=features, Y=targets: readout.update(F, Y)))
        if number % given.every == 0:
            rows = features.double()
            floors.append((number, seconds(lambda F=rows: torch.mm(F.T, F))))
    begun = time.perf_counter()
    weight, _ = readout.solve(ridge=0.0)
    return weight, updates, floors, time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10**6, help="samples")
    parser.add_argument("--width", type=int, default=4096, help="features")
    parser.add_argument("--batch", type=int, default=8192, help="samples of an update")
    parser.add_argument("--every", type=int, default=8, help="updates between two times of the bare product")
    given = parser.parse_args()
    found = []
    risen = peak(lambda: found.extend(fitted(given)))
    weight, updates, floors, solving = found
    ratio = statistics.median(updates[number] / floor for number, floor in floors)
    error = float((weight - planted_weights(given)).square().sum())
    expected = NOISE**2 * OUTPUTS * given.width / (given.n - given.width - 1)
    spread = math.sqrt(2.0 / (OUTPUTS * given.width))
    print(f"{machine()}; {given.n} samples of {given.width} features, batches of {given.batch}, {OUTPUTS} outputs.")
    print(f"updates {sum(updates):.0f} s, {ratio:.2f} times the products F^T F alone; solution {solving:.1f} s")
    held = given.n * given.width / 2**18
    print(f"memory: {risen:.0f} MiB at most beyond the start; the features in float32 would be {held:.0f} MiB")
    print(f"squared error of the weights: {error / expected:.4f} of its expectation, standard deviation {spread:.4f}")


if __name__ == "__main__":
    main()
