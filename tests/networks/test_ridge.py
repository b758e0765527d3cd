"""Ridge readouts against least squares of an extended system, the dual form, and each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from notsodeep.errors import ConvergenceError
from notsodeep.networks import RidgeReadout, class_indices, fit_ridge, one_hot
from tests.tolerances import LINEAR_SOLVE, ROUNDING, assert_close

N, WIDTH, OUTPUTS = 90, 12, 3


def table(n=N, width=WIDTH, offset=0.7, seed=0):
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((n, width)) * np.linspace(0.5, 2.0, width) + offset
    Y = F @ rng.standard_normal((width, OUTPUTS)) + rng.standard_normal((n, OUTPUTS)) + 4.0
    return torch.from_numpy(F), torch.from_numpy(Y)


def least_squares(F, Y, ridge, intercept):
    """Ridge regression as least squares with rows added, and the condition number of the system squared."""
    F, Y = F.numpy(), Y.numpy()
    mean_f, mean_y = (F.mean(axis=0), Y.mean(axis=0)) if intercept else (np.zeros(F.shape[1]), np.zeros(Y.shape[1]))
    penalty = ridge * np.square(F - mean_f).sum(axis=1).mean()
    rows = np.vstack([F - mean_f, penalty**0.5 * np.eye(F.shape[1])])
    W = np.linalg.lstsq(rows, np.vstack([Y - mean_y, np.zeros((F.shape[1], Y.shape[1]))]), rcond=None)[0].T
    return W, mean_y - W @ mean_f, np.linalg.cond(rows) ** 2


def streamed(F, Y, sizes, **options):
    readout, start = RidgeReadout(F.shape[1], Y.shape[1], **options), 0
    for size in sizes:
        readout.update(F[start : start + size], Y[start : start + size])
        start += size
    return readout


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("ridge", [1e-6, 1e-3, 1.0])
def test_it_is_ridge_regression(ridge, intercept):
    F, Y = table()
    W, b, condition = least_squares(F, Y, ridge, intercept)
    weight, bias = streamed(F, Y, [1, 40, 49], intercept=intercept).solve(ridge)
    assert_close(weight.numpy(), W, LINEAR_SOLVE * condition)
    if intercept:
        assert_close(bias.numpy(), b, LINEAR_SOLVE * condition)
    else:
        assert bias is None


def test_without_a_ridge_it_is_least_squares():
    F, Y = table()
    W, _, condition = least_squares(F, Y, 0.0, True)
    assert_close(streamed(F, Y, [N]).solve(0.0)[0].numpy(), W, LINEAR_SOLVE * condition)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("n", [5, 90])
def test_both_forms_of_a_fit_are_the_same_regression(n, intercept):
    F, Y = table(n)
    W, b, condition = least_squares(F, Y, 1e-3, intercept)
    weight, bias = fit_ridge(F, Y, 1e-3, intercept=intercept)
    assert_close(weight.numpy(), W, LINEAR_SOLVE * condition)
    if intercept:
        assert_close(bias.numpy(), b, LINEAR_SOLVE * condition)


def test_a_ridge_is_of_the_mean_diagonal_of_the_kernel():
    """The dual form written out: what a ridge means does not depend on which of the two matrices is smaller."""
    F, Y = table()
    kernel = (F @ F.T).numpy()
    dual = np.linalg.solve(kernel + 1e-2 * kernel.diagonal().mean() * np.eye(N), Y.numpy())
    weight, _ = streamed(F, Y, [N], intercept=False).solve(1e-2)
    condition = np.linalg.norm(kernel, 2) / (1e-2 * kernel.diagonal().mean())
    assert_close((F @ weight.T).numpy(), kernel @ dual, LINEAR_SOLVE * condition)


@pytest.mark.parametrize("intercept", [True, False])
def test_batches_order_and_merging_leave_the_sums_alone(intercept):
    F, Y = table()
    whole = streamed(F, Y, [N], intercept=intercept).solve()
    order = torch.from_numpy(np.random.default_rng(1).permutation(N))
    shuffled = streamed(F[order], Y[order], [7] * 12 + [6], intercept=intercept).solve()
    first, second = (streamed(F[part], Y[part], [10, 9], intercept=intercept) for part in (order[:19], order[19:38]))
    rest = streamed(F[order[38:]], Y[order[38:]], [52], intercept=intercept)
    empty = RidgeReadout(WIDTH, OUTPUTS, intercept=intercept)
    empty.merge(first)
    for other in (second, RidgeReadout(WIDTH, OUTPUTS, intercept=intercept), rest):
        empty.merge(other)
    assert empty.n == N
    _, _, condition = least_squares(F, Y, 1e-3, intercept)
    for found in (shuffled, empty.solve()):
        assert_close(found[0].numpy(), whole[0].numpy(), ROUNDING * condition)
        if intercept:
            assert_close(found[1].numpy(), whole[1].numpy(), ROUNDING * condition)


@pytest.mark.parametrize("merged", [True, False])
def test_large_means_cost_no_digits_but_their_own(merged):
    """At 1e6, numbers have 10 digits behind the point; sums of squares would have 4, and lose them all."""
    F, Y = table(offset=0.0)
    far = F + 1e6
    condition = least_squares(F, Y, 1e-3, True)[2]
    readout = streamed(far, Y, [30, 30, 30])
    if merged:
        readout = streamed(far[:45], Y[:45], [45])
        readout.merge(streamed(far[45:], Y[45:], [20, 25]))
    assert_close(readout.solve()[0].numpy(), least_squares(far - 1e6, Y, 1e-3, True)[0], 1e-9 * condition)


def test_float32_is_summed_in_float64():
    F, Y = (part.float() for part in table())
    W, _, condition = least_squares(F.double(), Y.double(), 1e-3, True)
    weight, _ = streamed(F, Y, [30, 60]).solve()
    assert weight.dtype == torch.float64
    assert_close(weight.numpy(), W, LINEAR_SOLVE * condition)


def test_what_was_given_is_left_alone():
    F, Y = table()
    streamed(F, Y, [N])
    fit_ridge(F, Y)
    assert torch.equal(F, table()[0])
    assert torch.equal(Y, table()[1])


@pytest.mark.parametrize("intercept", [True, False])
def test_the_choice_is_the_ridge_with_the_least_error_on_other_samples(intercept):
    (F, Y), (other_f, other_y) = table(20), table(200, seed=5)
    ridges = [1e-4, 1e-2, 0.1, 1.0, 100.0]
    errors = []
    for ridge in ridges:
        W, b, condition = least_squares(F, Y, ridge, intercept)
        scores = other_f.numpy() @ W.T + (b if intercept else 0.0)
        errors.append(np.square(scores - other_y.numpy()).sum(axis=1).mean())
    readout = streamed(F, Y, [11, 9], intercept=intercept)
    choice = readout.choose(ridges, streamed(other_f, other_y, [150, 50], intercept=intercept))
    condition = least_squares(F, Y, ridges[0], intercept)[2]
    assert_close(np.array(choice.errors), np.array(errors), LINEAR_SOLVE * condition)
    assert choice.ridge == ridges[int(np.argmin(errors))]
    weight, bias = readout.solve(choice.ridge)
    assert_close(choice.weight.numpy(), weight.numpy(), LINEAR_SOLVE * condition)
    if intercept:
        assert_close(choice.bias.numpy(), bias.numpy(), LINEAR_SOLVE * condition)


def test_singular_features_are_refused_without_a_ridge_and_fitted_with_one():
    F, Y = table()
    F[:, 3] = 2.0 * F[:, 5] - F[:, 0]
    for solve in (streamed(F, Y, [N]).solve, lambda ridge: fit_ridge(F[:8], Y[:8], ridge)):
        with pytest.raises(ConvergenceError, match="raise ridge"):
            solve(0.0)
        assert torch.isfinite(solve(1e-6)[0]).all()


def test_features_without_spread_are_refused():
    constant = streamed(torch.ones(9, 2), torch.ones(9, 1), [9])
    with pytest.raises(ConvergenceError, match="singular"):
        constant.solve()
    with pytest.raises(ConvergenceError, match="singular"):
        constant.choose([1e-3], constant)


def test_overflow_is_refused():
    F, Y = table()
    with pytest.raises(ConvergenceError, match="overflowed"):
        streamed(1e200 * F, Y, [N]).solve()


def test_a_refused_batch_adds_nothing():
    F, Y = table()
    readout = streamed(F, Y, [N])
    before = readout.solve()[0]
    with pytest.raises(ValueError, match="targets must be finite"):
        readout.update(F, torch.full_like(Y, torch.nan))
    assert readout.n == N
    assert torch.equal(readout.solve()[0], before)


F0, Y0 = table(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RidgeReadout(0, 1), "width"),
        (lambda: RidgeReadout(3, 0), "outputs"),
        (lambda: RidgeReadout(WIDTH, OUTPUTS).update(F0[:, 1:], Y0), r"features must have shape \(b, 12\)"),
        (lambda: RidgeReadout(WIDTH, OUTPUTS).update(F0[:0], Y0[:0]), "b >= 1"),
        (lambda: RidgeReadout(WIDTH, OUTPUTS).update(F0.numpy(), Y0), "features must be a real tensor"),
        (lambda: RidgeReadout(WIDTH, OUTPUTS).update(F0, Y0[:3]), "targets must have a row for each of the 4"),
        (lambda: RidgeReadout(WIDTH, OUTPUTS).solve(), "update must have seen samples"),
        (lambda: streamed(F0, Y0, [4]).solve(-1.0), "ridge"),
        (lambda: streamed(F0, Y0, [4]).merge(RidgeReadout(WIDTH, 1)), "other must have the same"),
        (lambda: streamed(F0, Y0, [4]).choose([], streamed(F0, Y0, [4])), "ridges must have at least one"),
        (lambda: streamed(F0, Y0, [4]).choose([0.0], streamed(F0, Y0, [4])), "ridges"),
        (lambda: streamed(F0, Y0, [4]).choose([1.0], RidgeReadout(WIDTH, OUTPUTS)), "held_out must have seen"),
        (lambda: streamed(F0, Y0, [4]).choose([1.0], RidgeReadout(WIDTH, 1)), "held_out must have the same"),
        (lambda: fit_ridge(F0[0], Y0), "features"),
        (lambda: fit_ridge(F0, Y0[:, 0]), "targets"),
        (lambda: fit_ridge(F0, Y0, -1.0), "ridge"),
        (lambda: class_indices([1, 2], (1, 1)), "classes must be different"),
        (lambda: class_indices([1, 2], ()), "classes"),
        (lambda: class_indices([1, 5], (1, 2)), "y must be labels among"),
        (lambda: class_indices([0.5], (1, 2)), "y must be class labels"),
    ],
)
def test_misuse_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_become_columns():
    assert class_indices(np.array(["b", "a", "b"]), ("b", "a")).tolist() == [0, 1, 0]
    assert class_indices(torch.tensor([7, 3]), (3, 5, 7)).tolist() == [2, 0]
    assert one_hot([7, 3], (3, 5, 7)).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
