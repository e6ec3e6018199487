"""`ablab predict` as scripts see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

TINY = ["--set", "data.classes=3", "--set", "data.size=64", "--set", "data.scenes=[12,6,6]", "--set", "train.epochs=1"]
TINY += ["--set", "train.image_size=64", "--set", "train.batch=4", "--set", "train.threads=1"]


def ablab(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ablab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = ablab("train", *TINY, "--folder", tmp_path_factory.mktemp("train") / "out", "--json")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["folder"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(folder / name), np.full((50, 80, 3), 127, np.uint8))
    return folder


def test_a_folder_becomes_pictures_and_rows(run: Path, pictures: Path, tmp_path: Path) -> None:
    done = ablab("predict", run, pictures, "--folder", tmp_path / "out", "--threshold", 0, "--json")
    assert done.returncode == 0, done.stderr
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
    done = ablab("predict", run, pictures, "--folder", tmp_path / "out", "--format", "csv", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["count"] == 2
    names = ["cut.png", "empty.jpg", "page.jpg", "void.mp4"]
    assert [Path(each["image"]).name for each in document["failed"]] == names
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert name in line
    assert set(done.stderr.splitlines()) - set(lines) == {"predict: 0:00"}, "nothing but a line each"
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
def test_a_users_mistake_is_a_line(run: Path, pictures: Path, arguments: list[str], said: str) -> None:
    done = ablab("predict", run, *arguments, "--json", cwd=pictures.parent)
    assert done.returncode == 2, done.stderr
    assert said in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
    assert not (pictures.parent / "predictions").exists()
