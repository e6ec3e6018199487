"""The work of the verb: every odd image and every broken one in one folder, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rectangles import model, paint
from test_video import shoot

from ablab.engine.events import Silent
from ablab.errors import DataError, StoreError
from ablab.predict import video
from ablab.predict.asked import ask
from ablab.predict.sources import expand
from ablab.predict.work import Tally, work
from ablab.tasks.detection.formats.coco import read_detections, read_truth

BOX = [[20, 30, 70, 60]]
IMAGE = paint(100, 140, BOX)


class Telling(Silent):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.totals: list[int] = []
        self.values: list[dict[str, float]] = []

    def begin(self, name: str, total: int) -> None:
        self.totals.append(total)

    def advance(self, done: int, values) -> None:
        self.values.append(dict(values))

    def say(self, text: str) -> None:
        self.said.append(text)


def do(*sources: Path, out: Path, events: Silent | None = None, **more) -> Tally:
    finder = model(size=128)
    asked = ask(finder.thresholds, **{key: more.pop(key) for key in ("tile", "threshold", "classes") if key in more})
    return work(finder, expand(sources), asked, out, events or Silent(), **more)


def exotic(folder: Path) -> dict[str, Path]:
    """The same picture in every dress."""
    folder.mkdir()
    picture, exif = Image.fromarray(IMAGE), Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: viewers turn it by a quarter, clockwise
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    frames = [picture, Image.fromarray(np.zeros_like(IMAGE))]
    made = {
        "cmyk.jpg": lambda p: picture.convert("CMYK").save(p, quality=95),
        "sixteen.png": lambda p: cv2.imwrite(str(p), IMAGE[..., ::-1].astype(np.uint16) * 257),
        "sixteen.tif": lambda p: cv2.imwrite(str(p), IMAGE[..., ::-1].astype(np.uint16) * 257),
        "palette.png": lambda p: picture.convert("P", palette=Image.Palette.ADAPTIVE).save(p),
        "alpha.png": lambda p: picture.convert("RGBA").save(p),
        "alpha.webp": lambda p: picture.convert("RGBA").save(p, lossless=True),
        "animated.gif": lambda p: frames[0].save(p, save_all=True, append_images=frames[1:], duration=100, loop=0),
        "lying.jpg": lambda p: lying.save(p, exif=exif, quality=95),
        "lying.png": lambda p: lying.save(p, exif=exif),
        "lying.tif": lambda p: lying.save(p, tiffinfo={274: 6}),
        "plain.bmp": lambda p: picture.save(p),
        "progressive.jpg": lambda p: picture.save(p, progressive=True, quality=95),
    }
    for name, save in made.items():
        save(folder / name)
    return {name: folder / name for name in made}


def test_the_same_objects_in_every_dress(tmp_path: Path) -> None:
    names = exotic(tmp_path / "in")
    tally = do(tmp_path / "in", out=tmp_path / "out")
    assert not tally.failed
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())["images"]
    assert {Path(row["image"]).name for row in rows} == set(names)
    for row in rows:
        assert (row["width"], row["height"]) == (140, 100), row["image"]
        (found,) = row["detections"]
        assert found["class"] == "stop", row["image"]
        np.testing.assert_allclose(found["box"], BOX[0], atol=2, err_msg=row["image"])


def test_the_smallest_and_the_widest(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, shape in (("dot.png", (1, 1)), ("line.png", (1, 500)), ("pole.png", (500, 1))):
        Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(folder / name)
    Image.fromarray(paint(60, 20_000, [[19_000, 10, 19_040, 50]])).save(folder / "wide.png")
    Image.fromarray(np.full((60, 80), 90, np.uint8)).save(folder / "grey.png")
    tally = do(folder, out=tmp_path / "whole")
    assert not tally.failed
    assert not any(tally.found.values()), "in one look the object is a quarter of a pixel"
    tally = do(folder, out=tmp_path / "tiles", tile=128)
    assert {Path(name).name: dict(found) for name, found in tally.found.items() if found} == {"wide.png": {"stop": 1}}
    drawn = cv2.imread(str(tmp_path / "tiles" / "wide.jpg"))
    assert drawn.shape == (60, 20_000, 3)


def test_what_is_longer_than_a_jpeg_may_be_is_drawn_smaller(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 70_000, 3), np.uint8)).save(tmp_path / "long.png")
    assert not do(tmp_path / "long.png", out=tmp_path / "out").failed
    assert cv2.imread(str(tmp_path / "out" / "long.jpg")).shape == (19, 65_500, 3)


def test_what_cannot_be_read_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "z.png"):
        Image.fromarray(IMAGE).save(folder / name)
    Image.fromarray(IMAGE).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:700])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("<html>404</html>")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.avi").write_text("no film")
    Image.fromarray(np.zeros((5, 5), np.float32)).save(folder / "floats.tif")
    shoot(folder / "film", 7)
    telling = Telling()
    tally = do(folder, out=tmp_path / "out", events=telling, forms=["json", "csv", "coco", "yolo"])
    bad = ["cut.jpg", "empty.mp4", "empty.png", "floats.tif", "text.avi", "text.jpg"]
    assert [Path(each.source).name for each in tally.failed] == bad
    assert len(telling.said) == len(bad)
    for name, line in zip(bad, telling.said, strict=True):
        assert name in line
        assert "\n" not in line
    document = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [Path(each["image"]).name for each in document["failed"]] == bad
    assert [each["error"] for each in document["failed"]] == [line.removeprefix("error: ") for line in telling.said]
    assert {Path(name).name: count for name, count in tally.images.items()} == {
        "a.png": 1, "film.mp4": 7, "whole.jpg": 1, "z.png": 1
    }  # fmt: skip
    assert all({*found} == {"stop"} for found in tally.found.values())
    assert not list((tmp_path / "out").glob(".*")), "nothing half-written stays"


def test_progress_tells_frames_a_second(tmp_path: Path) -> None:
    telling = Telling()
    do(shoot(tmp_path / "film", 7), out=tmp_path / "out", events=telling)
    assert telling.totals == [7]
    assert len(telling.values) == 7
    assert all(values["fps"] > 0 for values in telling.values)


def test_a_video_becomes_a_drawn_video_and_a_row_a_frame(tmp_path: Path) -> None:
    tally = do(shoot(tmp_path / "film", 9), out=tmp_path / "out", forms=["json", "yolo", "csv"])
    assert tally.total == 9
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())["images"]
    assert [(row["frame"], row["seconds"]) for row in rows] == [(i, pytest.approx(i / 10)) for i in range(9)]
    names = {path.name for path in (tmp_path / "out" / "labels").iterdir()}
    assert names == {f"film-{i:06}.txt" for i in range(9)}
    drawn = cv2.VideoCapture(str(tmp_path / "out" / "film.mp4"))
    count = 0
    while drawn.read()[0]:
        count += 1
    assert (count, drawn.get(cv2.CAP_PROP_FPS), drawn.get(cv2.CAP_PROP_FRAME_WIDTH)) == (9, 10, 320)


def test_the_work_ends_after_so_many_images(tmp_path: Path) -> None:
    tally = do(shoot(tmp_path / "film", 30), out=tmp_path / "out", most=4)
    assert tally.total == 4
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())["images"]) == 4


def test_ctrl_c_leaves_whole_files(tmp_path: Path) -> None:
    class Impatient(Telling):
        def advance(self, done: int, values) -> None:
            if done == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do(shoot(tmp_path / "film", 30), out=tmp_path / "out", events=Impatient())
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())["images"]) == 3
    assert cv2.VideoCapture(str(tmp_path / "out" / "film.mp4")).read()[0]


def test_a_drawing_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shoot(tmp_path / "film", 30)
    monkeypatch.setattr(video, "CONTAINERS", ((".mp4", "zzzz"),))
    with pytest.raises(StoreError, match="missing codec"):
        do(path, out=tmp_path / "out")
    assert do(path, out=tmp_path / "out", draw=False).total == 30


def test_files_of_one_name_do_not_write_over_each_other(tmp_path: Path) -> None:
    for name in ("x/a.png", "x/a.bmp", "y/a.png", "y/A.PNG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(IMAGE).save(tmp_path / name)
    do(tmp_path / "x", tmp_path / "y", out=tmp_path / "out", forms=["yolo"])
    drawn = {path.stem for path in (tmp_path / "out").glob("*.jpg")}
    assert len({name.lower() for name in drawn}) == 4
    assert {path.stem for path in (tmp_path / "out" / "labels").iterdir()} == drawn


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Twelve pictures in two folders and their COCO file, with ids of its own."""
    rng = np.random.default_rng(5)
    document: dict = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 40, "name": "go"}, {"id": 7, "name": "stop"}],
    }
    for i in range(12):
        name = f"{'ab'[i % 2]}/{i // 2}.png"
        boxes = [
            [x, y, x + int(w), y + int(h)]
            for x, y, (w, h) in zip((5, 60, 95), (8, 40, 10), rng.integers(12, 32, (3, 2)), strict=True)
        ]
        labels = rng.integers(0, 2, 3).tolist()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(paint(100, 128, boxes, labels)).save(tmp_path / name)
        document["images"].append({"id": 1000 - i, "file_name": name, "width": 128, "height": 100})
        for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            entry = {"id": len(document["annotations"]) + 1, "image_id": 1000 - i, "category_id": (7, 40)[label]}
            document["annotations"].append(entry | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    (tmp_path / "truth.json").write_text(json.dumps(document))
    return tmp_path / "truth.json"


def test_coco_results_score_against_their_truth(truth: Path, tmp_path: Path) -> None:
    """A perfect detector has an AP of 1, in pycocotools, too."""
    do(tmp_path / "a", tmp_path / "b", out=tmp_path / "out", forms=["coco"], ids=truth, draw=False)
    results = tmp_path / "out" / "coco-results.json"
    known = COCO(str(truth))
    scored = COCOeval(known, known.loadRes(str(results)), "bbox")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    assert scored.stats[0] == pytest.approx(1)
    assert sum(map(len, read_detections(results, read_truth(truth)))) == 36
    images = json.loads((tmp_path / "out" / "coco-images.json").read_text())
    assert {image["id"] for image in images["images"]} == set(range(989, 1001))
    assert images["categories"] == [{"id": 7, "name": "stop"}, {"id": 40, "name": "go"}]


def test_coco_results_without_ids_count_from_one(truth: Path, tmp_path: Path) -> None:
    do(tmp_path / "a", out=tmp_path / "out", forms=["coco"], draw=False)
    images = json.loads((tmp_path / "out" / "coco-images.json").read_text())
    assert [image["id"] for image in images["images"]] == [1, 2, 3, 4, 5, 6]
    assert images["categories"] == [{"id": 1, "name": "stop"}, {"id": 2, "name": "go"}]
    found = json.loads((tmp_path / "out" / "coco-results.json").read_text())
    assert {entry["image_id"] for entry in found} == {1, 2, 3, 4, 5, 6}


def test_ids_that_do_not_fit_are_refused_before_any_work(truth: Path, tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "other.png")
    (tmp_path / "odd.json").write_text(json.dumps({"images": [], "categories": [{"id": 1, "name": "stopp"}]}))
    (tmp_path / "list.json").write_text("[]")
    for sources, ids, said in (
        ([tmp_path / "other.png"], truth, "has no image .*other.png"),
        ([tmp_path / "a"], tmp_path / "odd.json", "has no image"),
        ([tmp_path / "a"], tmp_path / "list.json", r"list\.json tells no ids"),
        ([tmp_path / "a"], tmp_path / "none.json", r"none\.json tells no ids"),
    ):
        with pytest.raises(DataError, match=said):
            do(*sources, out=tmp_path / "out", forms=["coco"], ids=ids)
    document = json.loads(truth.read_text())
    document["categories"][1]["name"] = "stopp"
    truth.write_text(json.dumps(document))
    with pytest.raises(DataError, match="has no category 'stop'; did you mean 'stopp'"):
        do(tmp_path / "a", out=tmp_path / "out", forms=["coco"], ids=truth)
    assert not (tmp_path / "out").exists()


def test_yolo_and_csv_by_hand(tmp_path: Path) -> None:
    """At an input of the image's own size the runner sees every pixel: the boxes are exact."""
    Image.fromarray(paint(128, 128, [[32, 16, 96, 48]], [1], [0.8])).save(tmp_path / "a.png")
    Image.fromarray(paint(128, 128, [])).save(tmp_path / "b.png")
    do(tmp_path / "a.png", tmp_path / "b.png", out=tmp_path / "out", forms=["yolo", "csv"])
    assert (tmp_path / "out" / "labels" / "a.txt").read_text() == "1 0.500000 0.250000 0.500000 0.250000 0.800000\n"
    assert (tmp_path / "out" / "labels" / "b.txt").read_text() == ""
    assert (tmp_path / "out" / "classes.txt").read_text() == "stop\ngo\n"
    rows = (tmp_path / "out" / "detections.csv").read_text().splitlines()
    assert rows == [
        "image,frame,class,score,xmin,ymin,xmax,ymax",
        f"{tmp_path}/a.png,,go,0.8,32.0,16.0,96.0,48.0",
        f"{tmp_path}/b.png,,,,,,,",
    ]
