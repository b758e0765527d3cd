"""Gradient descent of finite networks beside what exact kernels predict of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch


@dataclass(frozen=True)
class Task:
    """Full-batch gradient descent on the first ``n`` of the samples ``X (N, p)`` with targets ``y (N,)``.

    Losses ``(steps + 1, 2)`` are the means of ``(f - y)^2 / 2`` over these and over the others.
    """

    X: np.ndarray
    y: np.ndarray
    n: int
    steps: int
    lr: float

    def losses(self, squares):
        """Return both losses for squares of residuals."""
        return 0.5 * squares[: self.n].mean().item(), 0.5 * squares[self.n :].mean().item()


def fastest_rate(ntk, share=0.5):
    """Return the learning rate that takes ``share`` off the residual along the first eigenvector in one step."""
    return share * len(ntk) / float(np.linalg.eigvalsh(ntk)[-1])


def descend(net, task):
    """Train the network and return its losses."""
    X, y = torch.as_tensor(task.X), torch.as_tensor(task.y)
    optimiser = torch.optim.SGD(net.parameter_groups(task.lr))
    out = np.empty((task.steps + 1, 2))
    for step in range(task.steps + 1):
        optimiser.zero_grad()
        squares = (net(X)[:, 0] - y) ** 2
        out[step] = task.losses(squares.detach())
        (0.5 * squares[: task.n].mean()).backward()
        optimiser.step()
    return out


def descents(spec, task, ntk, width, seeds):
    """Return the losses ``(seeds, 2, steps + 1, 2)`` of networks, and those with the exact ``ntk`` from the same start.

    Of each network, the mean with that of the opposite readout: what is linear in the function at the start cancels.
    """
    found = []
    for seed, sign in product(seeds, (1.0, -1.0)):
        net = spec.to_torch(task.X.shape[1], width, seed=seed)
        with torch.no_grad():
            net.readout.weight.mul_(sign)
            residuals = net(task.X).numpy() - task.y[:, None]
        found.append((descend(net, task), linearised(residuals, ntk, task)))
    return np.reshape(found, (len(seeds), 2, 2, task.steps + 1, 2)).mean(axis=1)


def linearised(residuals, ntk, task):
    """Return the losses with a constant NTK, squares of residuals ``(N, columns)`` being summed over columns.

    A step is ``r <- r - lr / n K[:, train] r[train]``.
    """
    out = np.empty((task.steps + 1, 2))
    for step in range(task.steps + 1):
        out[step] = task.losses(np.square(residuals).sum(axis=1))
        residuals = residuals - task.lr / task.n * ntk[:, : task.n] @ residuals[: task.n]
    return out


def predicted(ck, ntk, task):
    """Return the expected losses of infinitely wide networks, from their kernels on all samples.

    At the start ``f ~ N(0, G)``, so that ``E r r^T = G + y y^T``, of which the columns given are a root.
    """
    values, vectors = np.linalg.eigh(ck)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return linearised(np.column_stack([task.y, root]), ntk, task)
