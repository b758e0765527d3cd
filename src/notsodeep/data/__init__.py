"""Gaussian mixtures, real data sets, their scaling, and the statistics that the theory takes."""

from notsodeep.data.catalogue import Entry, entries
from notsodeep.data.dataset import Dataset
from notsodeep.data.datasets import load_dataset
from notsodeep.data.fetching import FileRecord, fetch, verify
from notsodeep.data.mixture import GaussianMixture
from notsodeep.data.scaling import Scaler
from notsodeep.data.statistics import Statistics

__all__ = [
    "Dataset",
    "Entry",
    "FileRecord",
    "GaussianMixture",
    "Scaler",
    "Statistics",
    "entries",
    "fetch",
    "load_dataset",
    "verify",
]
