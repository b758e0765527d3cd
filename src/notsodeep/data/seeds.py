"""Random generators from explicit seeds."""

from __future__ import annotations

import numpy as np


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """Return the NumPy generator of ``seed``; a generator is returned as it is.

    Raises
    ------
    ValueError
        When ``seed`` is neither a non-negative integer nor a generator: randomness is never implicit.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer or a numpy.random.Generator, got {seed!r}")
    return np.random.default_rng(int(seed))
