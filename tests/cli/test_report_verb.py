from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablab.cli import app
from ablab.records import write_json


@pytest.fixture
def study(tmp_path: Path) -> Path:
    arms = [{"name": name, "kind": kind} for name, kind in (("baseline", "baseline"), ("frelu", "change"))]
    asked = {"name": "s", "fingerprint": "f", "version": "0", "created": "2025-11-22", "metric": "AP"}
    asked |= {"direction": "max", "smallest_interesting": 0.01, "alpha": 0.05, "on_divergence": 0.0, "split": "test"}
    write_json(tmp_path / "study.json", asked | {"design": "stack", "seeds": [0, 1], "baseline": {}, "arms": arms})
    return tmp_path


def test_only_the_formats_asked_for_are_written(study: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(study), "--format", "latex, json"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (study / "report").iterdir()) == ["report.json", "report.tex"]


def test_all_formats_by_default(study: Path) -> None:
    assert CliRunner().invoke(app, ["report", str(study)]).exit_code == 0
    assert {"index.html", "report.md", "report.tex", "report.csv", "report.json"} <= {
        path.name for path in (study / "report").iterdir()
    }


def test_an_unknown_format_is_the_users_mistake(study: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(study), "--format", "pdf"])
    assert done.exit_code == 2
    assert "Traceback" not in done.output
