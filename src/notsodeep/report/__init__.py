"""Reports: results of experiments as tables, pictures, JSON and self-contained HTML pages."""

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
from notsodeep.report.wording import headline
from notsodeep.report.writing import write_twin

__all__ = [
    "SPECTRUM_FILES",
    "Table",
    "check_folder",
    "headline",
    "json_text",
    "save_figure",
    "spectrum_csv",
    "spectrum_document",
    "spectrum_figure",
    "spectrum_headline",
    "spectrum_tables",
    "twin_document",
    "twin_figure",
    "twin_html",
    "twin_tables",
    "write_spectrum",
    "write_twin",
]
