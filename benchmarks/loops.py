"""Equilibria of a DEQ sample by sample, as scripts without batches find them, and by other libraries."""

from __future__ import annotations

import math

import torch


class OneByOne:
    """The layer ``z -> phi(sigma_a A z + sigma_b B x) / sqrt(m)`` of a network, for one sample at a time."""

    def __init__(self, net):
        self.phi, self.root = net.activation, math.sqrt(net.width)
        self.A = (math.sqrt(net.spec.sigma_a2) * net.A).detach()
        self.B = (math.sqrt(net.spec.sigma_b2) * net.B).detach()
        self.tolerance = net.tol

    def plain(self, X, most=1000):
        """Iterate to the network's tolerance, the product with the input done once; return states and iterations."""
        return _all(X, lambda x: self._plain(self.B @ x, most))

    def _plain(self, injected, most):
        z, iterations, step = self.phi(injected) / self.root, 0, math.inf
        while step > self.tolerance and iterations < most:
            image = self.phi(self.A @ z + injected) / self.root
            step, z, iterations = (image - z).norm() / image.norm(), image, iterations + 1
        return z, iterations

    def anderson(self, X, window=5, tol=1e-2, most=25, ridge=1e-4):
        """Anderson's iteration as tutorials of deep equilibria have it, for a layer that reads ``x`` each time."""
        start = self.A.new_zeros(len(self.A))

        def solve(x):
            return _anderson(lambda z: self.phi(self.A @ z + self.B @ x) / self.root, start, window, tol, most, ridge)

        return _all(X, solve)


def _all(X, solve):
    states, iterations = zip(*map(solve, X), strict=True)
    return torch.stack(states), sum(iterations) / len(iterations)


def _anderson(f, z, window, tol, most, ridge):
    """Weights ``a`` of sum 1 that make ``|sum a_i (f(z_i) - z_i)|`` least, by a bordered system with a small ridge."""
    states, images = z.new_zeros(window, len(z)), z.new_zeros(window, len(z))
    states[0], images[0] = z, f(z)
    states[1] = images[0]
    images[1] = f(states[1])
    for k in range(2, most):
        n = min(k, window)
        gaps = images[:n] - states[:n]
        H = z.new_zeros(n + 1, n + 1)
        H[0, 1:] = H[1:, 0] = 1.0
        H[1:, 1:] = gaps @ gaps.T + ridge * torch.eye(n, dtype=z.dtype)
        right = z.new_zeros(n + 1)
        right[0] = 1.0
        weights = torch.linalg.solve(H, right)[1:]
        place = k % window
        states[place] = weights @ images[:n]
        images[place] = f(states[place])
        if (images[place] - states[place]).norm() / (1e-5 + images[place].norm()) < tol:
            break
    return images[place], k + 1


def torchdeq_solver(net, X):
    """Return a call that solves the batch with torchdeq's plain iteration, or None where it is not installed."""
    try:
        from torchdeq import get_deq
    except ImportError:
        return None
    solver = get_deq(f_solver="fixed_point_iter", f_max_iter=1000, f_tol=net.tol, f_stop_mode="rel")
    spec, root = net.spec, math.sqrt(net.width)

    def call():
        with torch.no_grad():
            injected = math.sqrt(spec.sigma_b2) * X @ net.B.T
            start = torch.zeros(len(X), net.width, dtype=X.dtype, device=X.device)
            return solver(
                lambda Z: net.activation(torch.addmm(injected, Z, net.A.T, alpha=math.sqrt(spec.sigma_a2))) / root,
                start,
            )

    return call
