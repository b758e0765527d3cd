"""Accuracies that arXiv:2402.02697 has published."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

UNCERTAINTY = 0.003
"""Of a published accuracy, which was read off a figure; twice as much where points hide each other"""
_OTHER_FEATURES = {"cifar10_features": "cifar10_vgg_features"}


def published_accuracy(dataset: str, activation: str, model: str, width: int) -> float | None:
    """Return the test accuracy as published, None where there is none.

    ``model`` is ``"deq"``, ``"matched"`` (leaky ReLU twice for ReLU, hard tanh for tanh) or ``"plain"``. The CIFAR-10
    features of the paper are others than ours, of a network that was less accurate: only their pattern compares.

    Examples
    --------
    >>> published_accuracy("mnist", "relu", "deq", 1024)
    0.934
    """
    dataset = _OTHER_FEATURES.get(dataset, dataset)
    return _curves().get((dataset, activation, model, width))


@cache
def _curves() -> dict[tuple[str, str, str, int], float]:
    content = json.loads(Path(__file__).with_name("published_accuracy.json").read_text(encoding="utf-8"))
    return {
        (curve["dataset"], curve["activation"], curve["model"], width): value
        for curve in content["curves"]
        for width, value in zip(content["width"], curve["test_accuracy"], strict=True)
    }
