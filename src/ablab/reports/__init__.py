"""The reports: a study's folder drawn as a terminal table, one HTML page, Markdown, LaTeX, CSV and JSON.

from ablab import reports
console.print(reports.Summary(reports.read(folder)))
reports.write(folder)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ablab.errors import UnknownName
from ablab.records import write_bytes
from ablab.reports.document import as_document, as_json
from ablab.reports.html import as_page
from ablab.reports.latex import as_latex
from ablab.reports.markdown import as_markdown
from ablab.reports.reading import read
from ablab.reports.sheets import arm_sheet, run_sheet
from ablab.reports.tables import Summary, verdict_table
from ablab.reports.view import View

__all__ = [
    "FORMATS",
    "Summary",
    "View",
    "as_document",
    "as_latex",
    "as_markdown",
    "as_page",
    "read",
    "verdict_table",
    "write",
]

_FILES: dict[str, dict[str, Callable[[View], str]]] = {
    "html": {"index.html": as_page},
    "md": {"report.md": as_markdown},
    "latex": {"report.tex": as_latex},
    "csv": {"report.csv": arm_sheet, "runs.csv": run_sheet},
    "json": {"report.json": as_json},
}
FORMATS = tuple(_FILES)


def write(folder: Path, formats: Sequence[str] = FORMATS) -> dict[str, Path]:
    """Write a study's report into `folder/report/`; returns {format: its main file}.

    `csv` writes two files: one row an arm (`report.csv`) and one row a run (`runs.csv`). Raises UnknownName for an
    unknown format, ConfigError where `folder` is no study, StoreError where a file is damaged or cannot be written.
    """
    for name in formats:
        if name not in _FILES:
            raise UnknownName("format", name, FORMATS, "reports.write")
    view = read(folder)
    for name in formats:
        for file, draw in _FILES[name].items():
            write_bytes(folder / "report" / file, draw(view).encode())
    return {name: folder / "report" / next(iter(_FILES[name])) for name in formats}
