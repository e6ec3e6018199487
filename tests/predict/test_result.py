"""A result as an array of objects."""

from __future__ import annotations

import numpy as np
import pytest
from rectangles import model, paint

from ablab.predict.result import Detection, Result

IMAGE = paint(60, 80, [[2, 2, 20, 20], [30, 30, 50, 50], [60, 5, 75, 25]], [0, 1, 1], [0.9, 0.8, 0.6])


@pytest.fixture(scope="module")
def result() -> Result:
    return model(size=96)(IMAGE)


def test_columns_have_one_row_an_object(result: Result) -> None:
    assert len(result) == 3
    assert result.boxes.shape == (3, 4)
    assert result.scores.shape == result.labels.shape == result.names.shape == (3,)
    assert result.names.tolist() == ["stop", "go", "go"]
    assert result.classes == ("stop", "go")
    np.testing.assert_array_equal(result.image, IMAGE)


def test_a_number_gives_one_object(result: Result) -> None:
    for one in (result[0], result[np.int64(0)], result[-3]):
        assert isinstance(one, Detection)
        assert (one.name, one.label, one.score) == ("stop", 0, pytest.approx(0.9, abs=0.01))
        np.testing.assert_array_equal(one.box, result.boxes[0])
    with pytest.raises(IndexError):
        result[3]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([False, False, True], [2]),
        ([2, 0], [2, 0]),
        ([], []),
        (np.array([], np.int64), []),
    ],
)
def test_anything_else_gives_a_result_of_these(result: Result, which: object, expected: list[int]) -> None:
    some = result[which]  # type: ignore[call-overload]
    assert isinstance(some, Result)
    np.testing.assert_array_equal(some.boxes, result.boxes[expected])
    np.testing.assert_array_equal(some.scores, result.scores[expected])
    assert some.names.tolist() == result.names[expected].tolist()


def test_masks_of_its_own_columns(result: Result) -> None:
    assert len(result[result.scores > 0.7]) == 2
    assert len(result[result.names == "go"]) == 2
    assert len(result[(result.names == "go") & (result.scores < 0.7)]) == 1


def test_iterating_gives_every_object(result: Result) -> None:
    assert [one.name for one in result] == ["stop", "go", "go"]
    assert [one.score for one in result] == result.scores.tolist()


def test_drawing_leaves_the_image_and_marks_the_boxes(result: Result) -> None:
    before = result.image.copy()
    picture = result.draw()
    np.testing.assert_array_equal(result.image, before)
    assert max(picture.size) == 320, "small images are enlarged, so that labels can be read"
    assert not np.array_equal(np.asarray(picture), np.asarray(result[:0].draw()))


def test_nothing_found(result: Result) -> None:
    none = result[:0]
    assert (len(none), list(none), none.names.tolist(), none.boxes.shape) == (0, [], [], (0, 4))
    assert "nothing" in repr(none)


def test_it_says_what_it_holds(result: Result) -> None:
    assert repr(result) == "Result(array: 2 go, 1 stop)"
