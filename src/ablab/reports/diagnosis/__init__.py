"""A diagnosis as a page and in a terminal, drawn from `diagnosis.json` and the pictures beside it.

    diagnosis.json --> page       one HTML file, which needs nothing else
                   \\-> terminal   tables

A chapter's file takes its numbers to `Block`s: sentences, figures, tables. The template puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablab.records import write_bytes
from ablab.reports.diagnosis.page import as_page
from ablab.reports.diagnosis.terminal import as_tables

__all__ = ["as_page", "as_tables", "write"]


def write(document: Mapping[str, Any], folder: Path) -> Path:
    """Write `folder/diagnosis.html`, whole or not at all; returns its path. Raises StoreError where it cannot be."""
    path = folder / "diagnosis.html"
    write_bytes(path, as_page(document, folder).encode())
    return path
