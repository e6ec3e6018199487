"""`ablab predict` as scripts see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from ablab import load
from ablab.cli import app
from ablab.cli.predict import Form
from ablab.engine.events import Silent
from ablab.predict.writing import FORMS
from ablab.study import single

TINY = {"data.classes": 3, "data.size": 64, "data.scenes": [12, 6, 6], "train.epochs": 1, "train.batch": 4}
TINY |= {"train.image_size": 64, "train.threads": 1, "model.width": 0.1, "model.depth": 0.1}


def ablab(*arguments: object) -> Result:
    """In this process; `done.stdout` and `done.stderr` are apart."""
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    record, place = single.train(None, TINY, 0, tmp_path_factory.mktemp("train"), [], Silent())
    assert record.status == "done"
    return place


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(folder / name), np.full((50, 80, 3), 127, np.uint8))
    return folder


def test_a_folder_becomes_pictures_and_rows(run: Path, pictures: Path, tmp_path: Path) -> None:
    done = ablab("predict", run, pictures, "--folder", tmp_path / "out", "--threshold", 0, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "out" / "detections.json").read_text())
    assert document["thresholds"] == {"0": 0, "1": 0, "2": 0}
    assert [Path(row["image"]).name for row in document["images"]] == ["a.png", "b.jpg"]
    assert any(row["detections"] for row in document["images"])
    for row in document["images"]:
        assert (row["width"], row["height"]) == (80, 50)
        for detection in row["detections"]:
            x1, y1, x2, y2 = detection["box"]
            assert 0 <= x1 <= x2 <= 80
            assert 0 <= y1 <= y2 <= 50
            assert detection["class"] in {"0", "1", "2"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.jpg", "b.jpg", "detections.json"}


def test_what_is_broken_is_named_and_the_rest_is_done(run: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:60])
    (pictures / "empty.jpg").write_bytes(b"")
    (pictures / "page.jpg").write_text("<html>404</html>")
    (pictures / "void.mp4").write_bytes(b"")
    command = [sys.executable, "-m", "ablab", "predict", run, pictures, "--folder", tmp_path / "out"]
    done = subprocess.run(
        [*map(str, command), "--format", "csv", "--json"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["count"] == 2
    names = ["cut.png", "empty.jpg", "page.jpg", "void.mp4"]
    assert [Path(each["image"]).name for each in document["failed"]] == names
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert name in line
    (other,) = set(done.stderr.splitlines()) - set(lines)
    assert other.startswith("predict: 0:"), "nothing but a line each, and how long it took"
    assert "a.png" in (tmp_path / "out" / "detections.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.png"], "no image, video or folder nothing.png"),
        (["no*.jpg"], "the pattern 'no*.jpg' holds no image"),
        (["in", "--classes", "dgo"], "unknown class 'dgo'"),
        (["in", "--threshold", "dgo=0.5"], "unknown class 'dgo'"),
        (["in", "--threshold", "high"], "--threshold wants SCORE or CLASS=SCORE"),
        (["in", "--threshold", "1.5"], "expected 0 to 1"),
        (["in", "--overlap", "0.5"], "without tiles"),
        (["in", "--ids", "t.json"], "without --format coco"),
        (["in", "--set", "train.epochs=3"], "'train.epochs' would do nothing"),
        (["in", "--set", "postprocess.nsm=soft"], "did you mean 'nms'"),
    ],
)
def test_a_users_mistake_is_a_line(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(pictures.parent)
    done = ablab("predict", run, *arguments, "--json")
    assert done.exit_code == 2, done.stderr
    assert said in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
    assert not (pictures.parent / "predictions").exists()


def test_a_model_that_is_not_there_is_told_before_its_images(run: Path) -> None:
    done = ablab("predict", run.with_name("nowhere"), "absent.jpg")
    assert done.exit_code == 2
    assert "no folder" in done.stderr
    done = ablab("predict", run, "absent.jpg")
    assert "no image, video or folder absent.jpg" in done.stderr


def test_people_get_a_line_a_source(run: Path, pictures: Path, tmp_path: Path) -> None:
    one = ablab("predict", run, pictures / "a.png", "--folder", tmp_path / "one", "--no-draw", "--threshold", 1)
    assert "1 image, " in one.stdout
    (pictures / "a.png").rename(pictures / "a[red]b.png")  # which rich would take for a colour
    done = ablab("predict", run, pictures, "--folder", tmp_path / "out", "--no-draw", "--threshold", 1)
    assert done.exit_code == 0, done.output
    said = "".join(done.stdout.split())  # a narrow terminal breaks long lines
    assert said.count("nothingfound") == 2
    assert "2images," in said
    assert "a[red]b.png" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"detections.json"}


def test_thresholds_and_classes(run: Path, pictures: Path, tmp_path: Path) -> None:
    asked = ["--threshold", "1=0.125", "--threshold", "0.5", "--classes", "1,2", "--json", "--no-draw"]
    done = ablab("predict", run, pictures / "a.png", "--folder", tmp_path / "out", *asked)
    assert json.loads(done.stdout)["thresholds"] == {"1": 0.125, "2": 0.5}
    asked = ["--threshold", "2=0.125", "--limit", "1", "--tile", "32", "--overlap", "0.1", "--json", "--no-draw"]
    done = ablab("predict", run, pictures, "--folder", tmp_path / "out", *asked)
    document = json.loads(done.stdout)
    assert document["thresholds"]["2"] == 0.125
    assert document["thresholds"]["0"] == load(run).thresholds["0"]
    assert len(document["images"]) == 1


def test_the_forms_are_those_that_there_are() -> None:
    assert {form.value for form in Form} == set(FORMS)
