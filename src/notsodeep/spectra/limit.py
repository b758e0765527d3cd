"""The limiting spectrum of a class model: its bulk, and the eigenvalues that leave it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from notsodeep.checks import FloatArray
from notsodeep.spectra.bulk import Bulk
from notsodeep.spectra.components import components
from notsodeep.spectra.isolated import Isolated, IsolatedEigenvalue, isolated
from notsodeep.spectra.model import ClassModel
from notsodeep.spectra.noise import Noisy
from notsodeep.spectra.response import Response
from notsodeep.spectra.traces import Traces, traces_of


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """Limiting spectrum of a class model.

    Parameters
    ----------
    model : ClassModel
        The model.
    bulk : Bulk
        The distribution of all but a few of the eigenvalues.
    outliers : Isolated
        The few that a low-rank part separates from the bulk, and how far the others are from it.
    """

    model: ClassModel
    bulk: Bulk
    outliers: Isolated

    def __repr__(self) -> str:
        values = ", ".join(f"{one.value:.6g}" for one in self.isolated)
        return f"Spectrum({self.bulk!r}, isolated: {values or 'none'})"

    @property
    def isolated(self) -> tuple[IsolatedEigenvalue, ...]:
        """Isolated eigenvalues, in increasing order."""
        return self.outliers.eigenvalues

    @property
    def right_strengths(self) -> FloatArray:
        """Strengths at the right edge, the largest first: an eigenvalue emerges there for each that is above one."""
        return self.outliers.right

    @property
    def left_strengths(self) -> FloatArray:
        """Strengths at the left edge, the largest first: an eigenvalue emerges there for each that is above one."""
        return self.outliers.left


def limiting_spectrum(model: ClassModel) -> Spectrum:
    """Return the limiting spectrum of a class model as n and p grow with fixed ratios ``n_a / p``.

    Parameters
    ----------
    model : ClassModel
        The model: counts, covariances and shifts of the classes, and the low-rank part.

    Returns
    -------
    Spectrum
        ``bulk`` with ``pdf``, ``cdf``, ``ppf``, ``support``, ``intervals``, ``atoms``; ``isolated`` eigenvalues with
        their alignments; ``right_strengths`` and ``left_strengths``.

    Raises
    ------
    ValueError
        When ``model`` is no ClassModel.
    ConvergenceError
        When an edge or the density is not found to the precision that is certified, which takes ties between
        numbers of rows and ranks, or scales more than nine digits apart.

    Notes
    -----
    Certified: each solution is the unique one (positive imaginary part inside the support, spectral radius below one
    outside), and the masses between gaps agree with the numbers of eigenvalues that the solutions in the gaps
    count exactly. Gaps narrower than about 1e-8 of an interval may be missed.

    Cost: milliseconds for few distinct joint eigenvalues, a second for some thousand; full covariances that do not
    commute need about 1500 inversions of a complex p x p matrix: a second at p = 60, a minute or two at p = 500.

    Source: deterministic equivalents of Gram matrices of mixtures, Couillet and Benaych-Georges, Electronic Journal
    of Statistics 10 (2016); counts of eigenvalues by the signs of the solution, as in the exact separation of Bai
    and Silverstein, Annals of Probability 27 (1999).

    Examples
    --------
    One class with a rank-one part along a mean of squared length 2, above the transition at 1:

    >>> import numpy as np
    >>> from notsodeep.spectra import ClassModel, limiting_spectrum
    >>> mean, core = np.zeros((1, 100)), np.zeros((3, 3))
    >>> mean[0, 0], core[0, 1], core[1, 0], core[0, 0] = 1.0, 2.0**0.5, 2.0**0.5, 2.0
    >>> spectrum = limiting_spectrum(ClassModel([100], 1.0, means=mean, core=core))
    >>> spectrum
    Spectrum(Bulk([0, 4]; no atoms), isolated: 4.5)
    >>> round(spectrum.isolated[0].alignment, 6)
    0.5
    """
    if not isinstance(model, ClassModel):
        raise ValueError(f"model must be a ClassModel, got {type(model).__name__}")
    classes = np.flatnonzero(model.counts)
    weights = model.counts[classes] / model.p
    clean = traces_of(model.covariances[classes], weights, model.means)
    noise = model.noise[np.ix_(classes, classes)]
    traces: Traces = Noisy(clean, weights, noise) if noise.any() else clean
    bulk = Bulk(components(model, traces, classes), model.n, model.p)
    return Spectrum(model, bulk, isolated(Response(model, clean, bulk.components), bulk))
