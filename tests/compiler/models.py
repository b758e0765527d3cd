"""Models of users: modules that solve for their states by a loop of their own."""

from __future__ import annotations

import torch


class Looped(torch.nn.Module):
    """``z = phi(W z + U x)`` by plain iteration, with a linear head unless there are no outputs."""

    def __init__(self, p, m, outputs, activation, *, seed=0, bias=True, dtype=torch.float32, loops=60):
        super().__init__()
        torch.manual_seed(seed)
        self.W = torch.nn.Linear(m, m, bias=bias, dtype=dtype)
        self.U = torch.nn.Linear(p, m, bias=bias, dtype=dtype)
        self.head = torch.nn.Linear(m, outputs, dtype=dtype) if outputs else torch.nn.Identity()
        self.phi = activation
        self.loops = loops

    def layer(self, z, x):
        return self.phi(self.W(z) + self.U(x))

    def forward(self, x):
        z = x.new_zeros(len(x), self.W.in_features)
        for _ in range(self.loops):
            z = self.layer(z, x)
        return self.head(z)


class Normalised(Looped):
    """The same with a layer norm inside the layer, as many published DEQs have one."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.norm = torch.nn.LayerNorm(self.W.in_features)

    def layer(self, z, x):
        return self.phi(self.norm(self.W(z) + self.U(x)))


def trained(model, X, y, steps=60, seed=0):
    """Train all weights of a module on labelled samples with Adam, through its loop."""
    X, y = torch.as_tensor(X, dtype=model.W.weight.dtype), torch.as_tensor(y)
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        batch = torch.randint(len(X), (64,), generator=rng)
        loss = torch.nn.functional.cross_entropy(model(X[batch]), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model
