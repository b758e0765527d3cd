"""Reports: results of experiments as tables, pictures, JSON and self-contained HTML pages."""

from notsodeep.report.compiled_tables import compiled_tables
from notsodeep.report.compiled_writing import COMPILED_FILES, compiled_document, write_compiled
from notsodeep.report.document import json_text, twin_document
from notsodeep.report.figures import save_figure, twin_figure
from notsodeep.report.files import check_folder
from notsodeep.report.html import twin_html
from notsodeep.report.spectrum_document import spectrum_csv, spectrum_document
from notsodeep.report.spectrum_figure import spectrum_figure
from notsodeep.report.spectrum_tables import spectrum_tables
from notsodeep.report.spectrum_wording import spectrum_headline
from notsodeep.report.spectrum_writing import SPECTRUM_FILES, write_spectrum
from notsodeep.report.table import Table
from notsodeep.report.tables import twin_tables
from notsodeep.report.training_document import training_csv, training_document
from notsodeep.report.training_figure import training_figure
from notsodeep.report.training_tables import training_tables
from notsodeep.report.training_wording import training_headline
from notsodeep.report.training_writing import TRAINING_FILES, write_training
from notsodeep.report.wording import headline
from notsodeep.report.writing import write_twin

__all__ = [
    "COMPILED_FILES",
    "SPECTRUM_FILES",
    "TRAINING_FILES",
    "Table",
    "check_folder",
    "compiled_document",
    "compiled_tables",
    "headline",
    "json_text",
    "save_figure",
    "spectrum_csv",
    "spectrum_document",
    "spectrum_figure",
    "spectrum_headline",
    "spectrum_tables",
    "training_csv",
    "training_document",
    "training_figure",
    "training_headline",
    "training_tables",
    "twin_document",
    "twin_figure",
    "twin_html",
    "twin_tables",
    "write_compiled",
    "write_spectrum",
    "write_training",
    "write_twin",
]
