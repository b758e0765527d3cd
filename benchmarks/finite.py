"""Kernels of finite networks from their gradients, and gradient descent beside what the exact kernels predict of it."""

from __future__ import annotations

import numpy as np
import torch

import notsodeep as nsd
from notsodeep.networks import DEQNetwork

TOLERANCE = 1e-9  # relative step of the equilibria of finite DEQs


def network(spec, in_features, width, seed):
    """Return the finite network of a DEQ or of an explicit spec."""
    if isinstance(spec, nsd.DEQ):
        return DEQNetwork(spec, in_features, width, seed=seed, tol=TOLERANCE)
    return spec.to_torch(in_features, width, seed=seed)


def groups(net, lr, trainable="all"):
    """Return weights with their learning rates; those of a DEQ are all ``lr``."""
    if hasattr(net, "parameter_groups"):
        return net.parameter_groups(lr)
    named = {"recurrent": net.A, "input": net.B, "readout": net.readout.weight}
    return [{"name": k, "params": [w], "lr": lr} for k, w in named.items() if trainable == "all" or k in trainable]


def empirical_ntk(net, X, trainable="all"):
    """Return the NTK ``(n, n)`` of a network with one output: products of gradients, times the learning rates."""
    trained = [(group["lr"], w) for group in groups(net, 1.0, trainable) for w in group["params"]]
    rows = []
    for x in torch.as_tensor(X):
        found = torch.autograd.grad(net(x[None])[0, 0], [w for _, w in trained])
        rows.append(torch.cat([lr**0.5 * g.flatten() for (lr, _), g in zip(trained, found, strict=True)]))
    J = torch.stack(rows)
    return (J @ J.T).numpy()


def descend(net, X, y, n, lr, steps, trainable="all"):
    """Train on the first n samples by full-batch gradient descent; return the losses on these and on the others.

    Losses ``(steps + 1, 2)`` are means of ``(f - y)^2 / 2``.
    """
    X, y = torch.as_tensor(X), torch.as_tensor(y)
    optimiser = torch.optim.SGD(groups(net, lr, trainable), lr=lr)
    out = np.empty((steps + 1, 2))
    for step in range(steps + 1):
        optimiser.zero_grad()
        losses = 0.5 * (net(X)[:, 0] - y) ** 2
        out[step] = losses[:n].mean().item(), losses[n:].mean().item()
        losses[:n].mean().backward()
        optimiser.step()
    return out


def descents(spec, X, y, n, lr, steps, width, seeds):
    """Return the losses ``(seeds, steps + 1, 2)`` of networks: of each, the mean with that of the opposite readout.

    So what is linear in the function at the start cancels, which is most of the scatter.
    """
    found = []
    for seed in seeds:
        pair = []
        for sign in (1.0, -1.0):
            net = network(spec, X.shape[1], width, seed)
            with torch.no_grad():
                net.readout.weight.mul_(sign)
            pair.append(descend(net, X, y, n, lr, steps))
        found.append(np.mean(pair, axis=0))
    return np.array(found)


def predicted(ck, ntk, y, n, lr, steps):
    """Return the expected losses ``(steps + 1, 2)`` of infinitely wide networks, from their kernels on all samples.

    A step is ``r <- r - lr / n K[:, train] r[train]`` for the residuals ``r``; at the start ``f ~ N(0, G)``, so
    ``E r r^T = G + y y^T``.
    """
    values, vectors = np.linalg.eigh(ck)
    R = np.column_stack([y, vectors * np.sqrt(np.clip(values, 0.0, None))])
    out = np.empty((steps + 1, 2))
    for step in range(steps + 1):
        losses = 0.5 * np.square(R).sum(axis=1)
        out[step] = losses[:n].mean(), losses[n:].mean()
        R = R - lr / n * ntk[:, :n] @ R[:n]
    return out


def fastest_rate(ntk, n, share=0.5):
    """Return the learning rate that takes ``share`` off the residual along the first eigenvector in one step."""
    return share * n / float(np.linalg.eigvalsh(ntk[:n, :n])[-1])
