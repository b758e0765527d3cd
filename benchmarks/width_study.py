"""How kernels of finite networks tend to the exact ones of the DEQ as the width grows."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from measuring import header, machine, row

import notsodeep as nsd
from notsodeep.experiments.samples import ASPECT, unit_mixture
from notsodeep.networks import sampled_kernel

WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096)
KERNELS = {"CK": ("ck", "all"), "NTK": ("ntk", "all"), "NTK {A, w}": ("ntk", ("recurrent", "readout"))}
NORMS = ("spectral", "frobenius")


def widths(given):
    """Print the errors at each width, the exponent for each kernel and network, and draw them."""
    X = samples(given)
    print(f"{machine()}; {given.data}, {len(X)} samples, {given.draws} networks each, float32.\n")
    columns = [f"{norm}: {what}, %" for norm in NORMS for what in ("one network", "mean", "chance")]
    header("activation", "kernel", "network", "width", *columns)
    found = {}
    for phi, (name, (kernel, trained)) in product(("relu", "tanh"), KERNELS.items()):
        deq = nsd.DEQ(phi, 0.2, 0.8)
        exact = nsd.ck(deq, X) if kernel == "ck" else nsd.ntk(deq, X, trainable=trained)
        twin = nsd.match(deq, kernel, trainable=trained)
        kinds = {"DEQ": (deq, trained, 0), "twin": (twin.spec, twin.network_trainable, 1)}
        for (network, (spec, own, seed)), width in product(kinds.items(), given.widths or WIDTHS):
            options = {"kernel": kernel, "exact": exact, "draws": given.draws, "dtype": torch.float32}
            at = sampled_kernel(spec, X, width, trainable=own, seed=seed, **options)
            found.setdefault((phi, name, network), []).append(at)
            cells = (
                cell
                for error in (at.spectral, at.frobenius)
                for cell in (
                    f"{100 * error.single:.3g} ± {100 * error.single_error:.1g}",
                    f"{100 * error.mean:.2g}",
                    f"{100 * error.chance:.2g}",
                )
            )
            row(phi, name, network, width, *cells)
    print()
    header("activation", "kernel", "network", *(f"exponent, {norm}" for norm in NORMS))
    for key, runs in found.items():
        row(*key, *("{:.3f} ± {:.3f}".format(*exponent(runs, norm)) for norm in NORMS))
    if given.image is not None:
        draw(found, given.image)


def samples(given):
    n = given.n or 300
    if given.data == "mixture":
        return unit_mixture(round(n / ASPECT)).sample(n, seed=0).X
    return nsd.load_dataset("mnist", n=n, n_test=0, data_dir=given.data_dir).X


def exponent(runs, norm):
    """Return b of ``error = a m^b`` with its standard error, by least squares in logarithms weighted by the errors."""
    errors = [getattr(run, norm) for run in runs]
    x, y = np.log([run.width for run in runs]), np.log([error.single for error in errors])
    weights = np.array([error.single / error.single_error for error in errors])
    design = np.column_stack([np.ones_like(x), x]) * weights[:, None]
    covariance = np.linalg.inv(design.T @ design)
    fitted = covariance @ (design.T @ (weights * y))
    misfit = np.square(weights * y - design @ fitted).sum() / max(len(x) - 2, 1)
    return fitted[1], np.sqrt(covariance[1, 1] * max(misfit, 1.0))


def draw(found, path):
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names, kernels = (list(dict.fromkeys(key[i] for key in found)) for i in (0, 1))
    size = (4.2 * len(kernels), 3.4 * len(names))
    figure, axes = plt.subplots(len(names), len(kernels), figsize=size, sharex=True, sharey=True, squeeze=False)
    for (phi, name, network), runs in found.items():
        panel = axes[names.index(phi), kernels.index(name)]
        at = [run.width for run in runs]
        single = np.array([100 * run.frobenius.single for run in runs])
        spread = [200 * run.frobenius.single_error for run in runs]
        colour, style = {"DEQ": ("#1b6ca8", "o-"), "twin": ("#d1495b", "s--")}[network]
        panel.errorbar(at, single, spread, fmt=style, color=colour, markersize=4, linewidth=1.4, label=network)
        if network == "DEQ":
            slope = single[0] * np.sqrt(at[0] / np.array(at))
            panel.plot(at, slope, ":", color="black", linewidth=1.1, label="$m^{-1/2}$")
        panel.set(yscale="log", title=f"{ {'relu': 'ReLU'}.get(phi, phi) }, {name}")
        panel.set_xscale("log", base=2)
        panel.grid(alpha=0.25)
    for panel in axes[-1]:
        panel.set_xlabel("width m")
    for panel in axes[:, 0]:
        panel.set_ylabel("relative error, %")
    axes[0, 0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
