"""Ternary weights against Gaussian ones: their kernels, the accuracy of twins, memory, and sparse products.

``python benchmarks/ternary.py kernels`` compares the mean kernel of many networks with the exact one, ``accuracy`` fits
readouts on digits and MNIST, ``memory`` counts bits and bytes, ``speed`` times sparse against dense products. MNIST is
looked for in ``--data-dir`` or ``NOTSODEEP_DATA``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

import notsodeep as nsd
from notsodeep.experiments.readout import accuracy, fitted_readout
from notsodeep.experiments.samples import load_samples
from notsodeep.networks import DEQNetwork, ExplicitNetwork, memory_bits

ACTIVATIONS = ("relu", "tanh")
WEIGHTS = {
    "Gaussian": {},
    "ternary 0.9": {"weights": "ternary", "sparsity": 0.9},
    "ternary 0.99": {"weights": "ternary", "sparsity": 0.99},
}
DEQ_SEEDS = 1_000_000  # DEQs have other seeds than networks: they would share weights


def sample_sets(given):
    """Return pixels of MNIST as they are, centred, and centred and rotated at random: dense, with the same products."""
    data = nsd.load_dataset("mnist", n=given.n, data_dir=given.data_dir, n_test=0)
    pixels = np.rint(data.X * data.scaler.scale + data.scaler.center)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((data.p, data.p)))
    sets = {"pixels": pixels, "centred": data.X, "centred, rotated": data.X @ rotation}
    return {name: X / np.sqrt(np.square(X).sum(axis=1).mean()) for name, X in sets.items()}


def systematic(errors):
    """Return the norm of the mean error without what is noise, in per cent: from products of different networks."""
    count = len(errors)
    inner = np.einsum("sij,tij->st", errors, errors)
    np.fill_diagonal(inner, 0.0)
    square = inner.sum() / (count * (count - 1))
    left_out = (inner.sum() - 2 * inner.sum(axis=1)) / ((count - 1) * (count - 2))
    error = np.sqrt((count - 1) * np.square(left_out - left_out.mean()).mean())  # jackknife
    if square < 2 * error:
        return f"below {100 * np.sqrt(max(square, 0.0) + 2 * error):.2f}"
    return f"{100 * np.sqrt(square):.2f} ± {100 * error / (2 * np.sqrt(square)):.2f}"


def kernels(given):
    print("| twin of | samples | mean of sum x^4 / norm^4 | weights | one network, % | systematic, % | trace, % |")
    print("|---|---|---|---|---|---|---|")
    for activation in ACTIVATIONS:
        spec = nsd.match(nsd.DEQ(activation)).spec
        for name, X in sample_sets(given).items():
            exact, size = nsd.ck(spec, X), np.square(X).sum(axis=1)
            flatness = (np.power(X, 4).sum(axis=1) / size**2).mean()
            for weights, options in WEIGHTS.items():
                found = []
                for seed in range(given.networks):
                    net = ExplicitNetwork(spec, X.shape[1], given.width, seed=seed, dtype=torch.float32, **options)
                    with torch.no_grad():
                        Z = net.features(torch.from_numpy(X)).double().numpy()
                    found.append((Z @ Z.T - exact) / np.linalg.norm(exact))
                found = np.stack(found)
                single = 100 * np.sqrt(np.square(found).sum(axis=(1, 2))).mean()
                traces = 100 * np.einsum("sii->s", found) * np.linalg.norm(exact) / np.trace(exact)
                row = activation, name, f"{flatness:.4f}", weights, f"{single:.1f}", systematic(found)
                print(f"| {' | '.join(row)} | {with_error(traces)} |", flush=True)


def with_error(values):
    """Return mean and standard error of repeated values as a cell of a table."""
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"


def fitted_accuracy(features, samples):
    train, test = (torch.from_numpy(part.X) for part in (samples.train, samples.test))
    with torch.no_grad():
        readout = fitted_readout(features(train), samples)
        return 100 * accuracy((features(test) @ readout.T).numpy(), samples)


def accuracies(given):
    sizes = {"digits": (None, None), "mnist": (given.n_train, 10_000)}
    print("| data | DEQ | model | accuracy, % | minus Gaussian twin |")
    print("|---|---|---|---|---|")
    for data in given.data:
        samples = load_samples(data, n=sizes[data][0], n_test=sizes[data][1], data_dir=given.data_dir)
        for activation in ACTIVATIONS:
            deq = nsd.DEQ(activation)
            spec = nsd.match(deq).spec
            shape = samples.train.p, given.width
            found = {"DEQ": [], **{f"twin, {name}": [] for name in WEIGHTS}}
            for seed in range(given.seeds):
                net = DEQNetwork(deq, *shape, seed=DEQ_SEEDS + seed, dtype=torch.float32)
                found["DEQ"].append(fitted_accuracy(net.features, samples))
                for name, options in WEIGHTS.items():
                    net = ExplicitNetwork(spec, *shape, seed=seed, dtype=torch.float32, **options)
                    found[f"twin, {name}"].append(fitted_accuracy(net.features, samples))
            for name, values in found.items():
                difference = np.subtract(values, found["twin, Gaussian"])
                last = "" if name == "twin, Gaussian" else with_error(difference)
                print(f"| {data} | {activation} | {name} | {with_error(values)} | {last} |", flush=True)


def memory(given):
    print("| weights | hidden, as floats | as saved | entropy | a weight, as saved; entropy | file, bytes |")
    print("|---|---|---|---|---|---|")
    spec = nsd.match(nsd.DEQ("relu")).spec
    for name, options in WEIGHTS.items():
        net = ExplicitNetwork(spec, 784, given.width, 10, dtype=torch.float32, **options)
        bits = memory_bits(net).hidden
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.safetensors"
            nsd.save(net, path)
            size = path.stat().st_size
        each = f"{bits.codes / bits.weights:.3f}; {bits.entropy / bits.weights:.3f}"
        print(f"| {name} | {bits.floats} | {bits.codes} | {bits.entropy:.0f} | {each} | {size} |")


def seconds(calls, rounds=30):
    """Return the median time of each call, in rounds through all of them."""
    times = np.empty((rounds, len(calls)))
    for row in times:
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            row[i] = time.perf_counter() - start
    return np.median(times[2:], axis=0)


def speed(given):
    warnings.simplefilter("ignore")  # torch calls its sparse matrices a beta
    print("| sparsity | precision | threads | dense product, ms | sparse, ms | dense / sparse |")
    print("|---|---|---|---|---|---|")
    spec = nsd.MLP((nsd.Layer("tanh"),))
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        for dtype in (torch.float32, torch.float64):
            for sparsity in (0.9, 0.95, 0.99):
                net = ExplicitNetwork(spec, given.width, given.width, dtype=dtype, weights="ternary", sparsity=sparsity)
                W = net.layers[0].detach()
                Y, sparse = torch.randn(512, given.width, dtype=dtype), W.to_sparse_csr()
                dense, quick = 1e3 * seconds([lambda Y=Y, W=W: Y @ W.T, lambda Y=Y, S=sparse: (S @ Y.T).T.contiguous()])
                row = f"{sparsity:g}", str(dtype).removeprefix("torch."), f"{threads}", f"{dense:.2f}", f"{quick:.2f}"
                print(f"| {' | '.join(row)} | {dense / quick:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=["kernels", "accuracy", "memory", "speed"])
    parser.add_argument("--data-dir")
    parser.add_argument("--data", nargs="+", default=["digits", "mnist"], choices=["digits", "mnist"])
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--n", type=int, default=200, help="samples of the kernels")
    parser.add_argument("--networks", type=int, default=400, help="of which a kernel is the mean")
    parser.add_argument("--n-train", type=int, default=4000, help="training samples of MNIST")
    parser.add_argument("--seeds", type=int, default=20, help="of which an accuracy is the mean")
    given = parser.parse_args()
    {"kernels": kernels, "accuracy": accuracies, "memory": memory, "speed": speed}[given.section](given)


if __name__ == "__main__":
    main()
