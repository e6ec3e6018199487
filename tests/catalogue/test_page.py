"""docs/parts.md is what the registry holds."""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "parts.md"


def test_the_page_is_current():
    """In a process of its own, as other tests register parts of theirs."""
    made = subprocess.run(
        [sys.executable, "-m", "ablab.catalogue.page"], capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert PAGE.read_text(encoding="utf-8") == made.stdout, "the catalogue has changed: run `make docs`"


def test_every_row_has_three_cells():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 100
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)
