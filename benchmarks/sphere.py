"""One Hermite layer against piecewise-linear layers, on samples of one norm: exact kernels, and finite width.

Run ``python benchmarks/sphere.py``: MNIST from NOTSODEEP_DATA, each sample of norm 1; without, points of a sphere.
"""

from __future__ import annotations

import argparse
import os
import warnings

import numpy as np

import notsodeep as nsd
from notsodeep.errors import StabilityWarning
from notsodeep.kernels.distance import relative_distance
from notsodeep.matching.sphere_exact import design
from notsodeep.matching.width import variances, width_for
from notsodeep.networks import empirical_ck

NAMES = ("relu", "tanh", "silu", "gelu", "elu", "softplus")
WIDTH = 1024


def load(n):
    if os.environ.get("NOTSODEEP_DATA"):
        return nsd.load_dataset("mnist", n=n, seed=0, scale="sample").X
    X = np.random.default_rng(0).standard_normal((n, 784))
    return X / np.linalg.norm(X, axis=1)[:, None]


def finite(spec, X, exact, draws):
    """Return the errors of networks of width 1024 against the exact CK: spectral, and of the diagonal (rms)."""
    spectral, diagonal = [], []
    for seed in range(draws):
        drawn = empirical_ck(spec.to_torch(X.shape[1], WIDTH, seed=seed), X)
        spectral.append(relative_distance(exact, drawn).spectral)
        diagonal.append(((np.diag(drawn) / np.diag(exact) - 1.0) ** 2).mean())
    return f"{100 * np.mean(spectral):.2g}", f"{100 * np.sqrt(np.mean(diagonal)):.2g}"


def percent(x):
    return f"{100 * x:.2g}"


def exact_kernel(deq_or_mlp, kernel, X):
    return getattr(nsd, kernel)(deq_or_mlp, X)


def twins(X, draws):
    """The two kinds of network for each kernel."""
    columns = ["degree", "bound, %", "exact, %", "width", "width 1024, %", "twin", "exact, %", "width", "width 1024, %"]
    print(f"| activation | sigma_a2 | kernel | {' | '.join(columns)} |\n|{'---|' * 12}")
    for name in NAMES:
        for sigma_a2 in (0.2, 0.5):
            deq = nsd.DEQ(name, sigma_a2, 0.8)
            family = "hard_tanh" if name == "tanh" else "leaky_relu"
            for kernel in ("ck", "ntk"):
                exact = exact_kernel(deq, kernel, X)
                found = design(deq, kernel, "all")
                twin = nsd.match(deq, kernel, family=family, on_failure="return")
                own = relative_distance(exact, exact_kernel(found.spec, kernel, X)).spectral
                other = relative_distance(exact, exact_kernel(twin.spec, kernel, X)).spectral
                widths, drawn = [width_for(found, 0.01).needed, "-"], ["-", "-"]
                if kernel == "ck":
                    widths[1] = width_for(twin.spec, 0.01, 1.0).needed
                    drawn = [", ".join(finite(spec, X, exact, draws)) for spec in (found.spec, twin.spec)]
                kind = f"{twin.spec.depth} x {family}, {twin.status}"
                row = [name, sigma_a2, kernel, found.degree, percent(found.error), percent(own), widths[0], drawn[0]]
                print("|", " | ".join(map(str, [*row, kind, percent(other), widths[1], drawn[1]])), "|", flush=True)


def degrees(X, draws):
    """What a smaller error of a kinked activation costs."""
    print("\n| error asked for, % | degree | bound, % | exact, % | width | width 1024, % |\n|---|---|---|---|---|---|")
    deq = nsd.DEQ("relu", 0.2, 0.8)
    exact = nsd.ck(deq, X)
    for error in (0.1, 3e-3, 2e-3, 1.2e-3, 8e-4, 6e-4):
        found = design(deq, "ck", "all", error=error)
        own = relative_distance(exact, nsd.ck(found.spec, X)).spectral
        row = [percent(error), found.degree, percent(found.error), percent(own), f"{width_for(found, 0.01).needed:.2g}"]
        print("|", " | ".join(map(str, [*row, ", ".join(finite(found.spec, X, exact, draws))])), "|", flush=True)


def signs():
    """Variances of a diagonal entry with the best signs and with all of them +1."""
    print("\n| activation | degree | all + | best |\n|---|---|---|---|")
    for name in NAMES:
        found = design(nsd.DEQ(name, 0.2, 0.8), "ck", "all")
        phi = dict(found.spec.layers[0].activation.params)
        plus = nsd.activation("hermite", coefficients=tuple(map(abs, phi["coefficients"])), scale=phi["scale"])
        print(f"| {name} | {found.degree} | {variances(nsd.MLP((nsd.Layer(plus),)), 1.0).diagonal:.3g} ", end="")
        print(f"| {found.variance:.3g} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=10)
    given = parser.parse_args()
    warnings.simplefilter("ignore", StabilityWarning)
    X = load(given.n)
    twins(X, given.draws)
    degrees(X, given.draws)
    signs()


if __name__ == "__main__":
    main()
