"""The conformance kit on every registered activation, explicit networks and parallel branches, by both routes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import notsodeep as nsd
from notsodeep.activations import names
from notsodeep.activations.duals import Dual
from notsodeep.kernels.scalar import rest_point, sample_variances
from tests.kernels.functions import FUNCTIONS
from tests.kernels.kit import KernelConformance, Model, compute
from tests.reference import naive_kernels as naive
from tests.tolerances import KERNEL, assert_close

RESIDUAL = 1e-13
"""Of sqrt(q_i q_j): a few times what a Newton step leaves, for the rounding of the expectations."""


def kinked(function: naive.Function) -> bool:
    """Tell whether the slope jumps at a kink."""
    sides = [function.slope(np.array([k - 1e-9, k + 1e-9])) for k in function.kinks]
    return any(abs(right - left) > 1e-6 for left, right in sides)


def implicit(name: str, center: bool, sigma_a2: float = 0.2, sigma_b2: float = 0.8, sigma_c2: float = 0.0) -> Model:
    return Model(
        f"{name}, {'centred' if center else 'as it is'}{', bias' if sigma_c2 else ''}",
        lambda: nsd.DEQ(name, sigma_a2=sigma_a2, sigma_b2=sigma_b2, sigma_c2=sigma_c2, center=center),
        lambda: naive.Deq(FUNCTIONS[name], sigma_a2, sigma_b2, center=center, sigma_c2=sigma_c2),
        kinked(FUNCTIONS[name]),
    )


def explicit(*layers: tuple[str, float, float] | tuple[str, float, float, float]) -> Model:
    return Model(
        " > ".join(f"{layer[0]} x{layer[1]:g}{'+' if len(layer) > 3 else ''}" for layer in layers),
        lambda: nsd.MLP([nsd.Layer(*layer) for layer in layers]),
        lambda: naive.Mlp(tuple((FUNCTIONS[name], *rest) for name, *rest in layers)),
        any(kinked(FUNCTIONS[layer[0]]) for layer in layers),
    )


def parallel(*branches: tuple[tuple[str, float, float] | tuple[str, float, float, float], ...]) -> Model:
    parts = [explicit(*layers) for layers in branches]
    return Model(
        " | ".join(part.name for part in parts),
        lambda: nsd.Parallel([part.spec() for part in parts]),
        lambda: naive.Parallel(tuple(part.naive() for part in parts)),
        any(part.kinked for part in parts),
    )


ODD = {"erf", "hardtanh", "hermite", "identity", "sin", "soft_slopes", "softsign", "tanh", "three_slope"}
"""Nothing to centre."""
IMPLICIT = [
    *(implicit(name, center) for name in names() for center in (True, False) if center or name not in ODD),
    *(implicit(name, True, sigma_c2=0.3) for name in ("relu", "tanh", "softplus")),
]
COMPILED = [
    model
    for model in IMPLICIT
    if "as it is" not in model.name or model.name.partition(",")[0] in ("relu", "gelu", "cos", "softplus")
]
"""Without centring, the loops are the same and a constant is left out: some activations are enough."""
EXPLICIT = [
    *(explicit((name, 1.0, 1.0)) for name in ("abs", "cos", "gelu", "selu", "sigmoid")),
    explicit(("tanh", 1.7, 0.5)),
    explicit(("relu", 2.0, 0.3), ("softsign", 0.6, 2.0)),
    explicit(("silu", 0.8, 0.0), ("hardtanh", 1.5, 1.0)),
    explicit(("relu", 2.0, 1.0), ("relu", 2.0, 1.0), ("relu", 2.0, 1.0)),
    explicit(("elu", 1.2, 3.0), ("cos", 0.5, 1.0), ("tanh", 2.5, 0.2)),
    explicit(("relu", 1.5, 0.7, 0.2), ("gelu", 0.8, 1.0), ("tanh", 2.0, 2.0, 0.5)),
]


PARALLEL = [
    parallel((("relu", 1.5, 0.7),)),
    parallel((("relu", 2.0, 0.3), ("tanh", 0.6, 2.0, 0.2)), (("hardtanh", 1.7, 0.5),)),
    parallel((("sin", 1.2, 3.0),), (("silu", 0.8, 0.0), ("elu", 1.5, 1.0)), (("relu", 0.4, 1.0, 0.3),)),
]


def test_every_registered_activation_is_under_test():
    assert set(FUNCTIONS) == set(names())


class TestImplicit(KernelConformance):
    @pytest.fixture(params=IMPLICIT, ids=lambda model: model.name)
    def model(self, request) -> Model:
        return request.param

    def test_the_covariance_solves_its_equation(self, known):
        """Lambda = sigma_a2 G + sigma_b2 X X', put back into the bivariate expectation."""
        deq, X = known.spec, known.X
        q = np.sqrt(sample_variances(deq, (X**2).sum(axis=1)))
        scales = torch.from_numpy(q)
        i, j = (torch.from_numpy(k) for k in np.triu_indices(len(X), 1))
        G = known.kernels[0][i, j]
        covariance = deq.sigma_a2 * G + deq.sigma_b2 * (X @ X.T)[i, j] + deq.sigma_c2
        rho = torch.from_numpy(np.clip(covariance / (q[i] * q[j]), -1.0, 1.0))
        again = Dual(rest_point(deq).activation, scales, scales)(i, j, rho)[0]
        assert_close(again, G, RESIDUAL, scale=known.bounds(1.0)[0][i, j], what=known.model.name)


class TestExplicit(KernelConformance):
    @pytest.fixture(params=EXPLICIT, ids=lambda model: model.name)
    def model(self, request) -> Model:
        return request.param


class TestParallel(KernelConformance):
    @pytest.fixture(params=PARALLEL, ids=lambda model: model.name)
    def model(self, request) -> Model:
        return request.param


class CompiledRoute:
    """The same by the compiled loops; pairs are compared with the other route, and that one with the naive one."""

    COMPILED_FROM = 0

    def test_pairs_agree_with_the_naive_implementation(self, known):
        other = compute(known.model, 1 << 60)
        for K, values, bound in zip(known.kernels, other.kernels, known.bounds(KERNEL), strict=True):
            assert_close(K, values, 1.0, scale=bound, what=known.model.name)


class TestCompiledParallel(CompiledRoute, TestParallel):
    pass


class TestCompiledImplicit(CompiledRoute, TestImplicit):
    @pytest.fixture(params=COMPILED, ids=lambda model: model.name)
    def model(self, request) -> Model:
        return request.param


class TestCompiledExplicit(CompiledRoute, TestExplicit):
    pass
