"""A model as a function: what goes in, and that nothing depends on how it came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rectangles import model, paint

from ablab.errors import ConfigError, DataError, UnknownName
from ablab.predict.asked import ask
from ablab.predict.result import Failure, Result

BOXES, LABELS, SCORES = [[8, 10, 30, 26], [40, 20, 60, 60], [70, 4, 90, 20]], [0, 1, 0], [0.9, 0.7, 0.5]
IMAGE = paint(64, 96, BOXES, LABELS, SCORES)


def same(result: Result, boxes: list[list[int]], labels: list[int], scores: list[float]) -> None:
    order = np.argsort(-np.array(scores))
    np.testing.assert_allclose(result.boxes, np.array(boxes)[order], atol=1.6)  # a pixel of the input is 1.5 here
    assert result.labels.tolist() == np.array(labels)[order].tolist()
    np.testing.assert_allclose(result.scores, np.array(scores)[order], atol=0.01)
    assert result.boxes.shape == (len(result), 4)


def test_every_kind_of_image_gives_the_same(tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    tensor = torch.from_numpy(IMAGE).permute(2, 0, 1)
    kinds = [tmp_path / "a.png", str(tmp_path / "a.png"), Image.open(tmp_path / "a.png"), IMAGE, tensor]
    kinds += [tensor.float() / 255, tensor.double() / 255, (tensor.float() / 255).requires_grad_()]
    finder = model()
    for kind in kinds:
        same(finder(kind), BOXES, LABELS, SCORES)
    for result in finder(kinds):
        same(result, BOXES, LABELS, SCORES)


def test_batches_are_lists() -> None:
    stack = np.stack([IMAGE] * 3)
    for several in (stack, torch.from_numpy(stack).permute(0, 3, 1, 2), [IMAGE] * 3, (IMAGE for _ in range(3))):
        results = model()(several)
        assert [len(result) for result in results] == [3, 3, 3]
    assert model()([]) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((4, 4)), r"array \(4, 4\) of float64"),
        (np.zeros((4, 4, 3)), r"array \(4, 4, 3\) of float64"),
        (np.zeros((0, 4, 3), np.uint8), r"array \(0, 4, 3\)"),
        (torch.zeros(4, 4, 3), r"tensor \(4, 4, 3\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), r"torch.int64"),
        (torch.full((3, 4, 4), 255.0), "floats from 255 to 255; expected 0 to 1"),
        (torch.full((3, 4, 4), float("nan")), "expected 0 to 1"),
        (7, "got int"),
        (None, "got NoneType"),
        ("absent.jpg", "no image absent.jpg"),
        ("shots/*.jpg", r"no image shots/\*.jpg; `model.stream` takes patterns"),
        ("http://10.0.0.1/a", "no image http://10.0.0.1/a; `model.stream` takes patterns and addresses"),
    ],
)
def test_what_is_no_image_is_said(given: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        model()(given)  # type: ignore[call-overload]


@pytest.mark.parametrize("batch", [1, 2, 3, 50])
@pytest.mark.parametrize("rectangular", [False, True])
def test_order_and_results_do_not_depend_on_the_batch(batch: int, rectangular: bool) -> None:
    """Images of many shapes; with rectangular inputs they go through in groups of one shape."""
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for _ in range(9):
        height, width = rng.integers(60, 400, 2)
        x, y = rng.integers(0, width - 40), rng.integers(0, height - 40)
        boxes.append([x, y, x + 40, y + 40])
        images.append(paint(height, width, boxes[-1:]))
    results = model(size=320, batch=batch, rectangular=rectangular)(images)
    for result, image, box in zip(results, images, boxes, strict=True):
        assert result.image is image or np.array_equal(result.image, image)
        np.testing.assert_allclose(result.boxes, [box], atol=2)


def test_thresholds_are_those_of_the_class_unless_asked() -> None:
    finder = model(thresholds={"stop": 0.6, "go": 0.65})
    assert finder(IMAGE).names.tolist() == ["stop", "go"]
    assert finder(IMAGE, threshold=0.4).names.tolist() == ["stop", "go", "stop"]
    assert finder(IMAGE, threshold={"go": 0.8}).names.tolist() == ["stop"]
    assert finder(IMAGE, threshold={"stop": 0.4}).names.tolist() == ["stop", "go", "stop"]
    assert len(finder(IMAGE, threshold=1.0)) == 0


def test_a_threshold_is_reached_by_what_scores_it_exactly() -> None:
    """As on validation, where F1 was taken of scores at least the threshold, which is one of them."""
    score = float(model()(IMAGE, threshold=0.0).scores[1])
    assert len(model()(IMAGE, threshold=score)) == 2
    assert len(model()(IMAGE, threshold=float(np.nextafter(score, 1)))) == 1


def test_a_folder_is_no_image_and_stream_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder, not an image; `model\.stream` takes folders"):
        model()(tmp_path)


def test_a_video_is_no_image_and_a_slip_is_told_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match=r"film\.mp4 is a video, not an image; `model\.stream` takes"):
        model()(tmp_path / "film.mp4")
    with pytest.raises(DataError, match=r"no image .*flim\.mp4; did you mean 'film\.mp4'\?$"):
        model()(tmp_path / "flim.mp4")


def test_a_model_says_what_it_is() -> None:
    named = model()
    named.name = "bundle in onnx"
    assert repr(named) == f"Model(bundle in onnx: {', '.join(named.classes)})"


def test_a_text_for_classes_is_one_name_not_its_letters() -> None:
    own = {"car": 0.3, "stop": 0.4}
    np.testing.assert_array_equal(ask(own, classes="stop").least, [np.inf, 0.4])
    with pytest.raises(UnknownName, match="unknown class 'stpo'"):
        ask(own, classes="stpo")


def test_only_some_classes() -> None:
    assert model()(IMAGE, classes=["go"]).names.tolist() == ["go"]
    assert model()(IMAGE, classes=["go", "stop"]).names.tolist() == ["stop", "go", "stop"]
    with pytest.raises(UnknownName, match="did you mean 'stop'"):
        model()(IMAGE, classes=["stpo"])
    with pytest.raises(ConfigError, match="no class is asked for"):
        model()(IMAGE, classes=[])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"threshold": -0.1}, "expected 0 to 1"),
        ({"threshold": {"gone": 0.2}}, "unknown class 'gone'"),
        ({"overlap": 0.2}, "without tiles"),
        ({"tile": 0}, "tiles of 0 pixels"),
        ({"tile": 64, "overlap": 1.0}, "to below 1"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        model()(IMAGE, **asked)


def test_agnostic_suppression_is_asked_of_the_recipe() -> None:
    """A go of the same place as a stop, as a network would give it."""
    finder, both = model(), model(agnostic=True)

    def twice(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes = np.tile(np.float32([8, 8, 30, 30]), (len(images), 2, 1))
        return boxes, np.tile(np.float32([[0.9, 0], [0, 0.8]]), (len(images), 1, 1))

    finder.runner = both.runner = twice
    assert len(finder(IMAGE)) == 2
    assert both(IMAGE).names.tolist() == ["stop"]


def test_a_stream_goes_on_after_what_is_broken(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        Image.fromarray(IMAGE).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"no picture")
    failed: list[Failure] = []
    results = list(model().stream(tmp_path, skip=failed.append))
    assert [Path(result.frame.source).name for result in results] == ["a.png", "c.png"]
    assert [Path(failure.source).name for failure in failed] == ["b.png"]
    with pytest.raises(DataError, match=r"b\.png"):
        list(model().stream(tmp_path))


def test_what_breaks_in_the_network_comes_through() -> None:
    def broken(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise ValueError("the runner fell over")

    finder = model()
    finder.runner = broken
    with pytest.raises(ValueError, match="fell over"):
        finder([IMAGE] * 20)
