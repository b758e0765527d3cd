"""Time and memory of the exact kernels, as ratios to the Gram matrix measured in the same run.

Run ``python benchmarks/kernels.py`` (MNIST from NOTSODEEP_DATA; random samples without it). Sections can be named:
``python benchmarks/kernels.py speed parts growth memory routes``. Rounds are interleaved, so that a drift of the
machine meets every figure alike; a figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from statistics import median

import numpy as np
import torch

import notsodeep as nsd
from notsodeep.activations.duals import Dual
from notsodeep.kernels.scalar import rest_point, sample_variances

NAMES = ("relu", "tanh", "silu")
LAYERS = 30


def load(n, p=784):
    """Return samples of mean squared norm 1: MNIST where it is at hand and p fits, else Gaussian ones with a mean."""
    if os.environ.get("NOTSODEEP_DATA") and p == 784:
        return nsd.load_dataset("mnist", n=n, seed=0, scale="mean").X
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) + 0.3 * rng.standard_normal(p)
    return X / np.sqrt((X**2).sum(axis=1).mean())


def interleaved(jobs, rounds):
    """Return the median seconds of each named job."""
    seconds = {name: [] for name in jobs}
    for job in jobs.values():
        job()  # compiled and warm
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            result = job()
            seconds[name].append(time.perf_counter() - start)
            del result
    return {name: median(values) for name, values in seconds.items()}


def unrolled(name, X, layers=LAYERS):
    """CK and full NTK of an untied network that reads its input at each of its layers: what one does without a solver.

    Done as well as the expectations allow: the same tables, in blocks of rows that stay in cache.
    """
    deq = nsd.DEQ(name)
    rest = rest_point(deq)
    scales = torch.from_numpy(np.sqrt(sample_variances(deq, (X**2).sum(axis=1))))
    dual, x, n = Dual(rest.activation, scales, scales), torch.from_numpy(X), len(X)
    G, K = torch.empty((n, n), dtype=torch.float64), torch.empty((n, n), dtype=torch.float64)
    columns, step = torch.arange(n)[None, :], max(1, (1 << 17) // n)
    for start in range(0, n, step):
        rows = torch.arange(start, min(n, start + step))[:, None]
        source = deq.sigma_b2 * (x[rows[:, 0]] @ x.T)
        bound, covariance, tangent = scales[rows] * scales[columns], source, source
        for _ in range(layers):
            value, slope, _ = dual.bulk(rows, columns, (covariance / bound).clamp(-1.0, 1.0))
            covariance = deq.sigma_a2 * value + source
            tangent = covariance + deq.sigma_a2 * tangent * slope
        G[rows[:, 0]], K[rows[:, 0]] = value, value + tangent * slope
    return G, K


def grams(X):
    tensor = torch.from_numpy(X)
    return {"X @ X.T, NumPy": lambda: X @ X.T, "X @ X.T, torch": lambda: tensor @ tensor.T}


def table(title, found, note=""):
    print(f"\n{title}")
    base, other = (found[f"X @ X.T, {library}"] for library in ("NumPy", "torch"))
    print(f"{'':34}{'seconds':>9}{'/ Gram, NumPy':>15}{'/ Gram, torch':>15}")
    for name, value in found.items():
        print(f"{name:34}{value:9.3f}{value / base:15.2f}{value / other:15.2f}")
    if note:
        print(note)


def deqs(X, names=NAMES):
    """Return jobs: both kernels of the DEQs with these activations."""
    return {f"CK + NTK, {name} DEQ": partial(nsd.kernels, nsd.DEQ(name), X) for name in names}


def speed(sizes, rounds):
    for n in sizes:
        X = load(n)
        twins = {name: nsd.MLP([nsd.Layer(name), nsd.Layer(name)]) for name in NAMES}
        jobs = grams(X) | deqs(X)
        jobs |= {f"CK + NTK, two {name} layers": partial(nsd.kernels, mlp, X) for name, mlp in twins.items()}
        found = interleaved(jobs, rounds)
        if n <= 2000:
            found |= interleaved({f"{LAYERS} untied layers, {name}": partial(unrolled, name, X) for name in NAMES}, 1)
        table(f"n = {n}, p = {X.shape[1]}, float64", found)


def parts(n, rounds):
    """One kernel alone against both, and single precision."""
    X = load(n)
    jobs = grams(X)
    for name in NAMES:
        deq = nsd.DEQ(name)
        jobs[f"{name}: CK"] = partial(nsd.ck, deq, X)
        jobs[f"{name}: NTK"] = partial(nsd.ntk, deq, X)
        jobs[f"{name}: CK + NTK"] = partial(nsd.kernels, deq, X)
        jobs[f"{name}: CK + NTK, float32"] = partial(nsd.kernels, deq, X, dtype="float32")
    table(f"Parts, n = {n}", interleaved(jobs, rounds))
    print("\nLargest error of single precision, of the largest entry")
    for name in NAMES:
        double, single = (nsd.kernels(nsd.DEQ(name), X, dtype=dtype) for dtype in ("float64", "float32"))
        errors = [np.abs(a - b).max() / a.max() for a, b in zip(double, single, strict=True)]
        print(f"{name:34}CK {errors[0]:.1e}, NTK {errors[1]:.1e}")


def growth(rounds):
    """Exponents of the time in n, and the time against p."""
    by_n, by_p = {}, {}
    for n in (3000, 6000, 12000):
        by_n[n] = interleaved(deqs(load(n)), rounds)
    for p in (50, 200, 800, 3200):
        by_p[p] = interleaved(deqs(load(4000, p)), rounds)
    print(
        f"\n{'Growth of the time':34}{'exponent in n':>15}{'seconds at n = 4000, p = ' + ', '.join(map(str, by_p)):>48}"
    )
    for name in by_n[3000]:
        exponent = np.polyfit(np.log(list(by_n)), np.log([found[name] for found in by_n.values()]), 1)[0]
        print(f"{name:34}{exponent:15.2f}{'  '.join(f'{found[name]:.2f}' for found in by_p.values()):>48}")


CHILD = """
import sys
import numpy as np, notsodeep as nsd

def status(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) / 1024

n, whole = int(sys.argv[1]), sys.argv[2] == "matrix"
X = np.random.default_rng(0).standard_normal((n, 784)) / 28
nsd.kernels(nsd.DEQ("tanh"), X[:2100])
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = status("VmRSS")
if whole:
    G, K = nsd.kernels(nsd.DEQ("tanh"), X)
else:
    for count, tile in enumerate(nsd.kernels.tiles(nsd.DEQ("tanh"), X)):
        if count == 100:
            break
print(status("VmHWM") - before - (2 * n * n * 8 / 2**20 if whole else 0))
"""


def memory():
    """Peak of the resident memory beyond samples and results, each in a process of its own (Linux)."""
    print("\nMemory beyond samples and results, after a first small call (MiB)")
    for n, kind in ((4000, "matrix"), (12000, "matrix"), (4000, "tiles"), (16000, "tiles"), (64000, "tiles")):
        done = subprocess.run([sys.executable, "-c", CHILD, str(n), kind], capture_output=True, text=True, check=True)
        print(f"n = {n:6d}, {kind:7} {float(done.stdout):8.0f}")


def routes(rounds):
    """Other activations."""
    X = load(6000)
    names = ("gelu", "elu", "erf", "softplus", "hardtanh", "mish", "sigmoid", "leaky_relu", "softsign", "sin")
    table("Other activations, n = 6000", interleaved(grams(X) | deqs(X, names), rounds))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", default=["speed", "parts", "growth", "memory", "routes"])
    parser.add_argument("--n", type=int, nargs="+", default=[2000, 6000, 12000])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, NumPy {np.__version__}")
    sections = {
        "speed": lambda: speed(given.n, given.rounds),
        "parts": lambda: parts(6000, given.rounds),
        "growth": lambda: growth(3),
        "memory": memory,
        "routes": lambda: routes(3),
    }
    for section in given.sections:
        sections[section]()


if __name__ == "__main__":
    main()
