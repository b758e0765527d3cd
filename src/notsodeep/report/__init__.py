"""Reports: results of experiments as tables, pictures, JSON and self-contained HTML pages."""

from notsodeep.report.document import json_text, twin_document
from notsodeep.report.figures import save_figure, twin_figure
from notsodeep.report.files import check_folder
from notsodeep.report.html import twin_html
from notsodeep.report.table import Table
from notsodeep.report.tables import twin_tables
from notsodeep.report.wording import headline
from notsodeep.report.writing import write_twin

__all__ = [
    "Table",
    "check_folder",
    "headline",
    "json_text",
    "save_figure",
    "twin_document",
    "twin_figure",
    "twin_html",
    "twin_tables",
    "write_twin",
]
