import subprocess
import sys

import pytest

from ablab import reports
from ablab.errors import UnknownName


def test_every_format_is_written(study):
    for file in study.glob("runs/*/*/curves.*"):  # fewer figures to draw
        file.unlink()
    written = reports.write(study)
    assert {name: path.relative_to(study).as_posix() for name, path in written.items()} == {
        "html": "report/index.html",
        "md": "report/report.md",
        "latex": "report/report.tex",
        "csv": "report/report.csv",
        "json": "report/report.json",
    }
    assert all(path.stat().st_size > 1000 for path in written.values())
    assert (study / "report" / "runs.csv").exists()


def test_only_the_formats_asked_for(study):
    assert list(reports.write(study, ["csv"])) == ["csv"]
    assert sorted(path.name for path in (study / "report").iterdir()) == ["report.csv", "runs.csv"]


def test_an_unknown_format_answers_with_the_nearest(study):
    with pytest.raises(UnknownName, match="did you mean 'html'"):
        reports.write(study, ["htm"])
    assert not (study / "report").exists()


def test_the_door_is_sorted_and_true():
    assert reports.__all__ == sorted(reports.__all__)
    assert all(hasattr(reports, name) for name in reports.__all__)


def test_reading_needs_neither_torch_nor_matplotlib():
    code = "import sys, ablab.reports; print([m for m in ('torch', 'matplotlib', 'jinja2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
