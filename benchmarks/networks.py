"""Finite networks: speed of the forward pass, solvers, gradients, and twins.

``python benchmarks/networks.py forward`` times DEQs against the bare matrix products and against loops over samples,
``solvers`` counts iterations up to instability, ``gradients`` compares the three gradients with unrolling in float64,
``twin`` compares a DEQ with its explicit twin on MNIST, which is looked for in ``--data-dir`` or ``NOTSODEEP_DATA``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import warnings
from itertools import product

import numpy as np
import torch
from loops import OneByOne, torchdeq_solver
from measuring import header, interleaved, machine, median_ratio, peak, peak_of, row, seconds

import notsodeep as nsd
from notsodeep.activations.lipschitz import lipschitz
from notsodeep.errors import StabilityWarning
from notsodeep.experiments.reproduction.cost import batches, readout_accuracy
from notsodeep.experiments.samples import load_samples
from notsodeep.networks import DEQNetwork, memory_bits
from notsodeep.networks.solvers import default_tolerance

P = 784
DTYPES = {"float32": torch.float32, "float64": torch.float64}
SOLVERS = ("plain", "anderson", "broyden")


def gaussian(n, dtype, device="cpu", p=P):
    """Return Gaussian samples of mean squared norm 1."""
    X = np.random.default_rng(0).standard_normal((n, p)) / math.sqrt(p)
    return torch.as_tensor(X, dtype=dtype, device=device)


def deq_network(phi, width, dtype, device="cpu", sigma_a2=0.2, sigma_b2=0.8, **options):
    options = {"tol": default_tolerance(dtype)} | options
    return DEQNetwork(nsd.DEQ(phi, sigma_a2, sigma_b2), P, width, dtype=dtype, **options).to(device)


def forward(given):
    print(f"{machine(given.device)}; batch {given.batch}, p = {P}, sigma_a2 = 0.2, sigma_b2 = 0.8, plain iteration.\n")
    header(
        "activation", "width", "dtype", "tolerance", "iterations", "ms", "products, ms", "ratio",
        "loop, times slower", "loop of Anderson", "its iterations", "torchdeq",
    )  # fmt: skip
    for width, name, phi in product(given.widths or (256, 1024, 4096), DTYPES, ("relu", "tanh", "gelu")):
        net = deq_network(phi, width, DTYPES[name], given.device)
        X = gaussian(given.batch, DTYPES[name], given.device)
        Z, record = net.solve(X)
        calls = {"ours": lambda net=net, X=X: net.solve(X), "floor": products(net, X, Z, record)}
        other = torchdeq_solver(net, X)
        calls |= {} if other is None else {"torchdeq": other}
        times = interleaved(calls, given.rounds, given.device)
        few = X[: given.loop]
        loop = OneByOne(net)
        with torch.no_grad():
            slow = {
                "plain": seconds(lambda loop=loop, few=few: loop.plain(few), given.device),
                "anderson": seconds(lambda loop=loop, few=few: loop.anderson(few), given.device),
            }
            steps = loop.anderson(few)[1]
        ours = statistics.median(times["ours"])
        slower = {kind: passed * len(X) / len(few) / ours for kind, passed in slow.items()}
        row(
            phi, width, name, f"{net.tol:.1e}", record.iterations, f"{1e3 * ours:.1f}",
            f"{1e3 * statistics.median(times['floor']):.1f}", f"{median_ratio(times['ours'], times['floor']):.3f}",
            f"{slower['plain']:.0f}", f"{slower['anderson']:.0f}", f"{steps:.1f}",
            "-" if other is None else f"{median_ratio(times['torchdeq'], times['ours']):.2f}",
        )  # fmt: skip
    print(
        f"\nratio: median over {given.rounds} interleaved rounds. Loops, timed on {given.loop} samples and scaled: "
        "plain iteration to the same tolerance; that of Anderson with a window of 5, to 1e-2 in at most 25 iterations, "
        f"with the product with the input in each of them. {'torchdeq is not installed.' if other is None else ''}"
    )


def products(net, X, Z, record):
    """Return a call that does the matrix products of a solution alone: that of the inputs, and one an iteration.

    Samples that are done leave the batch when they are half of it; so they do here.
    """
    sizes = batches(record)
    states, out = Z.clone(), torch.empty_like(Z)
    A, B = net.A.detach().T, net.B.detach().T

    def call():
        torch.mm(X, B, out=out)
        for n in sizes:
            torch.mm(states[:n], A, out=out[:n])

    return call


def solvers(given):
    batch, width = min(given.batch, 128), 1024
    print(f"{machine(given.device)}; batch {batch}, width {width}, sigma_b2 = 0.8, at most {given.most} iterations.\n")
    header(
        "activation", "sigma_a2 L^2", "dtype", *(f"{kind} {what}" for kind in SOLVERS for what in ("iterations", "ms")),
        "converged", "largest step", "finite",
    )  # fmt: skip
    for phi, name, gain in product(("relu", "tanh"), DTYPES, (0.3, 0.6, 0.9, 1.0, 1.2, 1.5, 1.8, 1.95, 2.0)):
        sigma_a2 = gain / lipschitz(nsd.activation(phi)) ** 2
        X, cells, converged, largest, finite = gaussian(batch, DTYPES[name], given.device), [], [], [], True
        for kind in SOLVERS:
            options = {"sigma_a2": sigma_a2, "solver": kind, "max_iter": given.most}
            try:
                net = deq_network(phi, width, DTYPES[name], given.device, **options)
            except ValueError:
                break
            found = []
            passed = seconds(
                lambda net=net, X=X, found=found: found.extend(net.solve(X, on_failure="return")), given.device
            )
            Z, record = found
            cells += [record.iterations, f"{1e3 * passed:.0f}"]
            converged.append(f"{batch - record.unconverged}")
            largest.append(f"{record.residual:.0e}")
            finite &= bool(torch.isfinite(Z).all())
        if not cells:
            row(phi, gain, name, *["-"] * (2 * len(SOLVERS)), "refused: no stable kernel", "-", "-")
            continue
        row(phi, gain, name, *cells, " / ".join(converged) + f" of {batch}", " / ".join(largest), finite)


def gradients(given):
    """Time, memory and error of the three gradients."""
    width = (given.widths or (1024,))[0]
    print(f"{machine(given.device)}; width {width}, batch {given.batch}; forward and backward pass of all weights.\n")
    header("activation", "dtype", "gradient", "iterations", "ms", "peak, MiB", "recurrent", "input", "bias", "readout")
    for phi in ("relu", "tanh", "gelu"):
        wanted = unrolled(phi, width, given)
        for name, dtype in DTYPES.items():
            nets = {kind: biased(phi, width, dtype, gradient=kind) for kind in ("implicit", "one_step", "unrolled")}
            X = gaussian(given.batch, dtype)
            times = interleaved(
                {kind: lambda net=net, X=X: loss(net, X).backward() for kind, net in nets.items()}, given.rounds
            )
            for kind, net in nets.items():
                options = {"phi": phi, "width": width, "dtype": name, "batch": given.batch, "gradient": kind}
                row(
                    phi, name, kind, net.solve(X)[1].iterations, f"{1e3 * statistics.median(times[kind]):.0f}",
                    f"{peak_of(__file__, kind='gradient', **options):.0f}",
                    *(f"{error:.1e}" for error in relative(net, X, wanted)),
                )  # fmt: skip
    print("\nLast columns: relative errors of the gradients against unrolling to convergence in float64.")


def biased(phi, width, dtype, **options):
    """Return a DEQ with all four kinds of weights."""
    spec = nsd.DEQ(phi, sigma_a2=0.2, sigma_b2=0.5, sigma_c2=0.3)
    return DEQNetwork(spec, P, width, 10, dtype=dtype, tol=default_tolerance(dtype), **options)


def loss(net, X):
    net.zero_grad(set_to_none=False)
    return net(X).square().mean()


def relative(net, X, wanted):
    """Return the relative errors of the gradients in the weights, by name in the order of the table."""
    loss(net, X).backward()
    found = {name: weight.value.grad.double() for name, weight in net.named_weights.items()}
    return [float((found[n] - wanted[n]).norm() / wanted[n].norm()) for n in ("recurrent", "input", "bias", "readout")]


def unrolled(phi, width, given):
    """Return the gradients through the plain iteration written out, until its states no longer change."""
    net, X = biased(phi, width, torch.float64), gaussian(given.batch, torch.float64)
    spec, Z = net.spec, torch.zeros(given.batch, width, dtype=torch.float64)
    for _ in range(given.unrolled):
        U = math.sqrt(spec.sigma_a2) * Z @ net.A.T + math.sqrt(spec.sigma_b2) * X @ net.B.T
        Z = net.activation(U + math.sqrt(spec.sigma_c2) * net.c) / math.sqrt(width)
    net.zero_grad()
    net.readout(Z).square().mean().backward()
    return {name: weight.value.grad for name, weight in net.named_weights.items()}


def twin(given):
    """A DEQ and its explicit twin at equal width."""
    n = given.n or 4000
    samples = load_samples("mnist", n=n, n_test=n // 2, data_dir=given.data_dir)
    print(f"{machine(given.device)}; batch {given.batch}, p = {P}; MNIST, {samples.train.n} + {samples.test.n}.\n")
    header(
        "activation", "width", "dtype", "tolerance", "iterations", "layers of the twin", "DEQ, ms", "twin, ms", "times",
        "peak, MiB", "weights, MiB", "accuracy, %",
    )  # fmt: skip
    for phi, width, name in product(("relu", "tanh"), given.widths or (1024, 4096), DTYPES):
        deq, spec = deq_network(phi, width, DTYPES[name], given.device), nsd.match(nsd.DEQ(phi)).spec
        explicit = spec.to_torch(P, width, seed=1).to(given.device, DTYPES[name])
        X = torch.as_tensor(samples.train.X[: given.batch], dtype=DTYPES[name], device=given.device)
        with torch.no_grad():
            calls = {"DEQ": lambda deq=deq, X=X: deq.solve(X), "twin": lambda net=explicit, X=X: net.features(X)}
            times = interleaved(calls, given.rounds, given.device)
            right = [100 * readout_accuracy(net, samples) for net in (deq, explicit)]
        options = {"phi": phi, "width": width, "dtype": name, "batch": given.batch}
        peaks = [peak_of(__file__, kind=kind, **options) for kind in ("deq", "twin")]
        sizes = [memory_bits(net).hidden.floats / 8 / 2**20 for net in (deq, explicit)]
        row(
            phi, width, name, f"{deq.tol:.1e}", deq.solve(X)[1].iterations, spec.depth,
            *(f"{1e3 * statistics.median(times[kind]):.1f}" for kind in calls),
            f"{median_ratio(times['DEQ'], times['twin']):.1f}",
            *("{:.0f} : {:.0f}".format(*pair) for pair in (peaks, sizes)), "{:.2f} : {:.2f}".format(*right),
        )  # fmt: skip
    print(
        "\nDEQ : twin. Peak: resident memory of one forward pass on the CPU beyond weights and samples, in a fresh "
        "process. Weights: of the hidden layers. Accuracy: one network of each kind, readout by ridge regression."
    )


def probe(given):
    """Print the peak of memory of one call: this is what runs in a fresh process."""
    options = json.loads(given.options)
    kind, phi, width, dtype = options["kind"], options["phi"], options["width"], DTYPES[options["dtype"]]
    X = gaussian(options["batch"], dtype)
    if kind == "gradient":
        net = biased(phi, width, dtype, gradient=options["gradient"])
        loss(net, X[:1]).backward()
        print(peak(lambda: loss(net, X).backward()))
        return
    net = deq_network(phi, width, dtype) if kind == "deq" else nsd.match(nsd.DEQ(phi)).spec.to_torch(P, width).to(dtype)
    with torch.no_grad():
        net.features(X[:1])
        print(peak(lambda: net.features(X)))


SECTIONS = {
    "forward": forward,
    "solvers": solvers,
    "gradients": gradients,
    "twin": twin,
    "probe": probe,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=list(SECTIONS))
    parser.add_argument("--data-dir")
    parser.add_argument("--device", default="cpu", help="for forward, solvers and twin")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--rounds", type=int, default=9, help="of timing")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--loop", type=int, default=32, help="samples that loops are timed on")
    parser.add_argument("--most", type=int, default=500, help="iterations of a solver, at most")
    parser.add_argument("--unrolled", type=int, default=80, help="iterations of what gradients are compared with")
    parser.add_argument("--widths", type=int, nargs="+", help="of networks")
    parser.add_argument("--n", type=int, help="training samples of twin (4000)")
    parser.add_argument("--options", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore", StabilityWarning)
    SECTIONS[given.section](given)


if __name__ == "__main__":
    main()
