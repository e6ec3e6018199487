"""A sequential study and its confirmation, really trained, with a kill in the middle.

The tiny detector learns nothing in an epoch. So the baseline's learning rate makes it diverge, and the change repairs
it: that helps under every seed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from feigned import seeds_of
from tiny_study import TINY
from typer.testing import CliRunner

from ablab.cli import app
from ablab.study import looks

STUDY: dict[str, Any] = TINY | {
    "name": "repair",
    "baseline": TINY["baseline"] | {"optimizer": {"lr": 1e30}},
    "changes": [{"name": "repair", "set": {"optimizer.lr": 0.001}}],
    "controls": [],
    "seeds": {"max": 4, "looks": [3, 4]},
    "judge": {"metric": "AP50", "smallest_interesting": 0.05, "on_divergence": -1.0},
}
STUDY["baseline"]["train"] = STUDY["baseline"]["train"] | {"clip_norm": None}


def called(*words: str) -> tuple[int, dict[str, Any]]:
    """`ablab run` in this process: exit code and its document."""
    found = CliRunner().invoke(app, ["run", *words, "--json"])
    return found.exit_code, json.loads(found.stdout)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(study file, folder): the study was killed after its first run."""
    place = tmp_path_factory.mktemp("sequential")
    file, folder = place / "repair.yaml", place / "out"
    file.write_text(yaml.safe_dump(STUDY))
    command = [sys.executable, "-m", "ablab", "run", str(file), "--folder", str(folder), "--jobs", "1"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 120
    while not list(folder.glob("runs/*/*/record.json")) and time.monotonic() < end and driver.poll() is None:
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(60)
    return file, folder


def test_a_killed_study_stops_its_arm_at_the_first_look_and_its_winner_is_confirmed(killed: tuple[Path, Path]) -> None:
    file, folder = killed
    assert 0 < len(list(folder.glob("runs/*/*/record.json"))) < 6
    code, document = called(str(file), "--folder", str(folder), "--jobs", "2")
    assert code == 0, document
    assert seeds_of(folder, "repair") == [0, 1, 2]  # and not the fourth
    [logged] = looks.read_log(folder)
    assert (logged["look"], logged["of"], logged["seeds"], logged["outcome"]) == (1, 2, 3, "helps")
    [row] = document["arms"]
    assert (row["verdict"], row["n"], row["look"]) == ("helps", 3, 1)
    assert row["effect"] >= 1.0
    final = json.loads((folder / "final.json").read_text())  # the study is closed
    assert [(row["n"], row["look"]) for row in final["verdicts"]] == [(3, 1)]

    code, confirmed = called(str(file), "--folder", str(folder), "--jobs", "2", "--confirm")
    assert code == 0, confirmed
    assert confirmed["seeds"] == [4, 5, 6]
    [row] = confirmed["arms"]
    assert (row["arm"], row["role"], row["verdict"], row["n"]) == ("repair", "winner", "helps", 3)
    assert row["shrinkage"] == pytest.approx(0.0, abs=0.5)
    assert not list((folder / "confirm").rglob("test.json"))  # test is read once, when the study closes
    assert (folder / "report" / "index.html").exists()

    code, again = called(str(file), "--folder", str(folder), "--confirm", "--seeds", "5")
    assert (code, again["exit_code"]) == (2, 2)
    assert "begun with 3 fresh seeds" in again["error"]


def test_seeds_go_with_confirm(killed: tuple[Path, Path]) -> None:
    code, document = called(str(killed[0]), "--seeds", "5")
    assert code == 2
    assert "--seeds goes with --confirm" in document["error"]
