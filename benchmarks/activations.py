"""Activations of a batch in torch: beside one matrix product of a layer, and beside torch's own functions.

``python benchmarks/activations.py`` times every registered activation as networks evaluate it: without gradients block
by block, and with gradients forward and backward.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from measuring import header, interleaved, machine, median_ratio, row
from torch.nn import functional

import notsodeep as nsd
from notsodeep.activations import names
from notsodeep.networks.blocks import activated

PARAMETERS = {"hermite": {"coefficients": (0.0, 1.0, 0.0, 0.3, 0.1)}}
OWN = {
    "abs": torch.abs,
    "elu": functional.elu,
    "erf": torch.erf,
    "gelu": functional.gelu,
    "hardtanh": functional.hardtanh,
    "leaky_relu": functional.leaky_relu,
    "mish": functional.mish,
    "relu": functional.relu,
    "selu": functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "tanh": torch.tanh,
}


def forward(phi, U):
    """Return calls of a pass without gradients, by ours in the place of its argument, and of the product before it."""
    places, Z, W = torch.empty_like(U), torch.randn_like(U), torch.randn(U.shape[1], U.shape[1], dtype=U.dtype)

    def ours():
        with torch.no_grad():
            activated(phi, places.copy_(U))

    calls = {"ours": ours, "product": lambda: torch.mm(Z, W, out=places), "copy": lambda: places.copy_(U)}
    return calls | ({"own": lambda: OWN[phi.name](U)} if phi.name in OWN else {})


def both_ways(phi, U):
    """Return calls of a forward and a backward pass."""
    leaf, back = U.clone().requires_grad_(), torch.ones_like(U)

    def call(function):
        return lambda: torch.autograd.grad(function(leaf), leaf, back)

    return {"ours": call(phi)} | ({"own": call(OWN[phi.name])} if phi.name in OWN else {})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--rounds", type=int, default=15, help="of timing")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--width", type=int, default=1024)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine()}; batch {given.batch}, width {given.width}.\n")
    header(
        "activation", "dtype", "ns an entry", "% of a product", "over torch's own", "forward and backward, ns",
        "over torch's own",
    )  # fmt: skip
    for name in names():
        for dtype in (torch.float32, torch.float64):
            phi = nsd.activation(name, **PARAMETERS.get(name, {}))
            U = torch.randn(given.batch, given.width, dtype=dtype)
            passes, trained = (interleaved(calls(phi, U), given.rounds) for calls in (forward, both_ways))
            ours = [whole - copy for whole, copy in zip(passes["ours"], passes["copy"], strict=True)]
            row(
                name, str(dtype).removeprefix("torch."),
                entry(ours, U), f"{100 * median_ratio(ours, passes['product']):.1f}", over(ours, passes.get("own")),
                entry(trained["ours"], U), over(trained["ours"], trained.get("own")),
            )  # fmt: skip
    print(f"\nMedians over {given.rounds} interleaved rounds; the product is of the batch with a square matrix.")


def over(ours, own):
    """Return the ratio of times to those of torch's own function, if it has one."""
    return "-" if own is None else f"{median_ratio(ours, own):.2f}"


def entry(times, U):
    """Return the nanoseconds that one entry takes."""
    return f"{1e9 * statistics.median(times) / U.numel():.2f}"


if __name__ == "__main__":
    main()
