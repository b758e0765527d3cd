"""Limiting spectra of kernel matrices: bulk density and isolated eigenvalues."""

from notsodeep.spectra.bulk import Bulk
from notsodeep.spectra.model import ClassModel
from notsodeep.spectra.spectrum import Spectrum, limiting_spectrum

__all__ = ["Bulk", "ClassModel", "Spectrum", "limiting_spectrum"]
