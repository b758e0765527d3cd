"""Limiting spectra of kernel matrices: bulk density and isolated eigenvalues."""

from notsodeep.spectra.bulk import Bulk
from notsodeep.spectra.eigenbasis import in_eigenbasis
from notsodeep.spectra.isolated import IsolatedEigenvalue
from notsodeep.spectra.limit import Spectrum, limiting_spectrum
from notsodeep.spectra.model import ClassModel
from notsodeep.spectra.of_kernel import spectrum

__all__ = ["Bulk", "ClassModel", "IsolatedEigenvalue", "Spectrum", "in_eigenbasis", "limiting_spectrum", "spectrum"]
