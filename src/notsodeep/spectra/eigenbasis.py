"""A mixture in the joint eigenbasis of its covariances: the same spectra, without p x p matrices."""

from __future__ import annotations

import numpy as np

from notsodeep.data import GaussianMixture
from notsodeep.spectra.traces import joint_basis


def in_eigenbasis(gm: GaussianMixture, approximate: bool = False) -> GaussianMixture:
    """Return a rotated mixture whose covariances are diagonal, where there is one; else the mixture itself.

    Kernels and spectra do not see the rotation. Worth a call of its own where several spectra of a mixture with full
    covariances are wanted: :func:`notsodeep.spectrum` does it each time, in O(p^3).

    Parameters
    ----------
    gm : GaussianMixture
        The mixture.
    approximate : bool
        Also where the covariances do not commute: in the eigenbasis of their mean, what is off the diagonals is left
        out. All traces ``tr C_a`` and ``tr(C_a C0)``, C0 the mean covariance, stay.

    Examples
    --------
    >>> import numpy as np, notsodeep as nsd
    >>> from notsodeep.spectra import in_eigenbasis
    >>> C = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> in_eigenbasis(nsd.GaussianMixture(np.zeros((2, 2)), [C, 2 * C])).covariances.round(6).tolist()
    [[1.0, 3.0], [2.0, 6.0]]
    """
    if gm.covariances.ndim < 3:
        return gm
    basis = joint_basis(gm.covariances)
    if basis is None and approximate:
        basis = np.linalg.eigh(np.tensordot(gm.weights, gm.covariances, 1))[1]
    if basis is None:
        return gm
    values = np.stack([np.einsum("ij,ij->j", basis, c @ basis) for c in gm.covariances])
    return GaussianMixture(gm.means @ basis, np.maximum(values, 0.0), gm.weights)
