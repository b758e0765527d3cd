"""Classification by ridge regression on features or kernels, and its accuracy."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge

from notsodeep.checks import FloatArray
from notsodeep.experiments.samples import LabelledSamples
from notsodeep.networks import fit_ridge, one_hot
from notsodeep.networks.ridge import RIDGE


def targets(samples: LabelledSamples) -> FloatArray:
    """A column for each class, 1 for the training samples of the class and 0 for others, centred."""
    classes = samples.train.classes
    return one_hot(samples.train.y, classes).numpy() - 1.0 / len(classes)


def fitted_readout(features: torch.Tensor, samples: LabelledSamples) -> torch.Tensor:
    """Ridge regression of the classes on the features: weights ``(classes, width)``, no bias."""
    weight, _ = fit_ridge(features, torch.from_numpy(targets(samples)), RIDGE, intercept=False)
    return weight.to(features.dtype)


def kernel_accuracy(inside: FloatArray, across: FloatArray, samples: LabelledSamples) -> float:
    """Test accuracy of regression with kernels: ``inside`` the training part, and ``across``, test with training."""
    model = KernelRidge(alpha=RIDGE * float(inside.diagonal().mean()), kernel="precomputed")
    return accuracy(model.fit(inside, targets(samples)).predict(across), samples)


def accuracy(scores: FloatArray, samples: LabelledSamples) -> float:
    """Share of the test samples whose largest score ``(n, classes)`` is that of their class."""
    predicted = np.array(samples.train.classes)[scores.argmax(axis=1)]
    return float((predicted == samples.test.y).mean())
