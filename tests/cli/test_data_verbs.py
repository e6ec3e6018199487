"""`ablab data convert`, `split` and `get` as they are called, with their exit codes and documents."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ablab.cli import app
from ablab.tasks.detection.formats import download

RUN = CliRunner()


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Ten images with a dog each, and a cat in every second."""
    root = tmp_path / "voc"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for n in range(10):
        pixels = np.random.default_rng(n).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"cam{n // 2}_{n}.png")
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9.5</xmax><ymax>20</ymax></bndbox></object>"
            for name in ("dog", "cat")[: 1 + n % 2]
        )
        (root / "Annotations" / f"cam{n // 2}_{n}.xml").write_text(f"<annotation>{objects}</annotation>")
    for split, numbers in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 10))):
        listed = "".join(f"cam{n // 2}_{n}\n" for n in numbers)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(listed)
    return root


def call(*words: object, code: int = 0) -> dict[str, object]:
    """The JSON document of a call."""
    result = RUN.invoke(app, ["data", *map(str, words), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_convert_and_back(voc: Path, tmp_path: Path) -> None:
    found = call("convert", voc, tmp_path / "yolo", "--to", "yolo")
    assert found["splits"]["train"] == {"images": 6, "boxes": 9}  # type: ignore[index]
    assert found["notes"] == []
    assert (tmp_path / "yolo" / "labels" / "val" / "cam3_7.txt").read_text().startswith("1 0.13125 ")
    again = call("convert", tmp_path / "yolo" / "data.yaml", tmp_path / "coco", "--to", "coco", "--copy")
    assert again["splits"] == found["splits"]
    assert (
        RUN.invoke(app, ["data", "convert", str(tmp_path / "coco"), str(tmp_path / "csv"), "--to", "csv"]).exit_code
        == 0
    )


def test_convert_says_what_is_wrong(voc: Path, tmp_path: Path) -> None:
    assert "did you mean 'coco'" in str(call("convert", voc, tmp_path / "a", "--to", "cocoo", code=2)["error"])
    assert "is not empty" in str(call("convert", voc, voc, "--to", "coco", code=2)["error"])
    assert "no data set at" in str(call("convert", tmp_path / "gone", tmp_path / "a", "--to", "coco", code=2)["error"])


def test_split_writes_a_table_and_a_file(voc: Path, tmp_path: Path) -> None:
    out = tmp_path / "splits.csv"
    found = call("split", voc, "--parts", "6:2:2", "--out", out)
    assert found["parts"] == {"train": 6, "validation": 2, "test": 2}
    assert {row["class"]: [row[p]["boxes"] for p in ("train", "validation", "test")] for row in found["classes"]} == {  # type: ignore[attr-defined]
        "dog": [6, 2, 2],
        "cat": [3, 1, 1],
    }
    assert out.read_text().splitlines()[0] == "image,split"
    result = RUN.invoke(app, ["data", "split", str(voc), "--parts", "6:2:2", "--out", str(out)])
    assert result.exit_code == 0
    assert "train: 6 images" in result.stdout
    assert f"--set data.splits={out}" in result.stdout.replace("\n", "")
    assert "divides otherwise" in str(call("split", voc, "--parts", "8:2", "--out", out, code=2)["error"])


def test_split_into_folds_by_camera(voc: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds.csv"
    found = call("split", voc, "--folds", 5, "--group", "^cam[0-9]+", "--out", out, "--no-stratify", "--seed", 3)
    assert found["parts"] == {str(fold): 2 for fold in range(5)}
    rows = [line.split(",") for line in out.read_text().splitlines()[1:]]
    assert len({(name.split("_")[0], fold) for name, fold in rows}) == 5


def test_split_keeps_a_split(voc: Path, tmp_path: Path) -> None:
    out = tmp_path / "splits.csv"
    found = call("split", voc, "--parts", "3:1", "--from", "train, validation", "--out", out)
    assert found["parts"] == {"train": 6, "validation": 2, "test": 2}
    assert out.read_text().splitlines()[-2:] == ["cam4_8,test", "cam4_9,test"]
    assert "would mix with validation" in str(call("split", voc, "--from", "train", "--parts", "3:1", code=2)["error"])


def _source(tmp_path: Path) -> download.Source:
    """coco128 with an archive of ours, which has been fetched already: nothing goes over a network."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        picture = io.BytesIO()
        Image.new("RGB", (40, 30)).save(picture, "JPEG")
        made.writestr("coco128/images/train2017/1.jpg", picture.getvalue())
        made.writestr("coco128/labels/train2017/1.txt", "79 0.5 0.5 0.2 0.2\n")
    work = tmp_path / "data" / ".ablab-coco128"
    work.mkdir(parents=True)
    (work / "coco128.zip").write_bytes(stream.getvalue())
    source = download.catalogue("http://127.0.0.1:9")["coco128"]
    return replace(source, pieces=tuple(replace(p, remote=replace(p.remote, size=1000)) for p in source.pieces))


def test_get_unpacks_says_the_terms_and_loads_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source(tmp_path)
    monkeypatch.setattr(download, "catalogue", lambda: {"coco128": source})
    result = RUN.invoke(app, ["data", "get", "coco128", "--to", str(tmp_path / "data")])
    assert result.exit_code == 0, result.output
    assert "Terms: annotations CC BY 4.0" in result.stderr
    assert "loaded" in result.stdout
    again = call("get", "coco128", "--to", tmp_path / "data")
    assert again["loaded"] == []
    from ablab.tasks.detection.formats.layouts.recognise import read_layout

    (image,) = read_layout(tmp_path / "data" / "coco128").splits["train"]
    assert read_layout(tmp_path / "data" / "coco128").classes[image.labels[0]] == "toothbrush"


def test_get_names_what_there_is(tmp_path: Path) -> None:
    assert "did you mean 'voc2007'" in str(call("get", "voc207", "--to", tmp_path, code=2)["error"])
    assert "unknown part 'vall' in coco2017; did you mean 'val'" in str(
        call("get", "coco2017", "--only", "vall", "--to", tmp_path, code=2)["error"]
    )
