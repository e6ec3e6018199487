import cv2
import numpy as np
import pytest

from ablab.tasks.detection.draw import PALETTE, Mark, draw, encode_png, mark

BLACK = np.zeros((400, 400, 3), np.uint8)
RED = (200, 0, 0)


def extent(image, colour):
    rows, columns = np.nonzero((image == colour).all(-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("dashed", [False, True])
@pytest.mark.parametrize("box", [(50, 60, 200, 100), (0, 0, 400, 400), (10, 10, 13, 13), (10, 10, 12, 300)])
def test_the_outer_edge_of_a_line_is_the_box(box, dashed):
    out = mark(BLACK, [Mark(np.array(box, float), "", RED, dashed)])
    assert extent(out, RED) == box
    assert not BLACK.any()


def test_a_line_is_two_pixels_wide_here_and_grows_with_the_image():
    for side, width in ((400, 2), (1600, 8)):
        out = mark(np.zeros((side, side, 3), np.uint8), [Mark(np.array([100, 100, 300, 300.0]), "", RED)])
        column = (out[:, 200] == RED).all(-1)
        np.testing.assert_array_equal(np.flatnonzero(column[:200]), 100 + np.arange(width))


def test_a_dashed_line_has_gaps_and_corners():
    out = mark(BLACK, [Mark(np.array([50, 60, 200, 100.0]), "", RED, dashed=True)])
    for line in (out[60, 50:200], out[99, 50:200], out[60:100, 50], out[60:100, 199]):
        drawn = (line == RED).all(-1)
        assert drawn[0]
        assert drawn[-1]
        assert 0.4 < drawn.mean() < 0.8


@pytest.mark.parametrize(
    ("shape", "expected"), [((60, 80), (240, 320)), ((100, 50), (320, 160)), ((400, 500), (400, 500))]
)
def test_small_images_are_enlarged_and_boxes_with_them(shape, expected):
    image = np.zeros((*shape, 3), np.uint8)
    box = np.array([[10, 20, 40, 50.0]])
    out = draw(image, box, np.array([1]), ["a", ""])
    assert out.shape == (*expected, 3)
    zoom = expected[0] / shape[0]
    drawn = (out[round(35 * zoom)] == PALETTE[1]).all(-1)
    assert np.flatnonzero(drawn)[[0, -1]].tolist() == [round(10 * zoom), round(40 * zoom) - 1]


def test_nothing_to_draw_leaves_the_pixels():
    image = np.random.default_rng(0).integers(0, 256, (330, 340, 3), np.uint8)
    out = draw(image, np.zeros((0, 4)), np.zeros(0, np.int64), ["a"], np.zeros(0))
    np.testing.assert_array_equal(out, image)
    assert not np.shares_memory(out, image)


def test_labels_hide_neither_each_other_nor_a_small_box():
    # The first label would stand above its box, where the second box is.
    boxes = np.array([[100, 100, 200, 200], [100, 85, 110, 98.0]])
    marks = [Mark(boxes[0], "first", RED), Mark(boxes[1], "second", (0, 200, 0))]
    alone, both = mark(BLACK, marks[:1]), mark(BLACK, marks)
    small = (slice(85, 98), slice(100, 110))
    assert (alone[small] == RED).all(-1).any()
    assert not (both[small] == RED).all(-1).any()
    plates = [(both == colour).all(-1).sum() for colour in (RED, (0, 200, 0))]
    separate = [(mark(BLACK, [m]) == m.colour).all(-1).sum() for m in marks]
    assert plates == separate


def test_scores_and_other_alphabets_are_written():
    args = (BLACK, np.array([[50, 60, 200, 100.0]]), np.array([0]))
    plain, scored, greek = draw(*args, ["a"]), draw(*args, ["a"], np.array([0.5])), draw(*args, ["αλφα"])
    assert len({image.tobytes() for image in (plain, scored, greek, draw(*args, ["αλφβ"]))}) == 4


@pytest.mark.parametrize("box", [(-50, -20, 30, 30), (380, 390, 450, 460), (500, 500, 600, 600), (20, 20, 20, 20)])
def test_boxes_that_reach_outside_or_have_no_area_do_no_harm(box):
    out = draw(BLACK, np.array([box], float), np.array([0]), ["a class with quite a long name " * 3], np.array([0.5]))
    assert out.shape == BLACK.shape


def test_more_classes_than_colours():
    boxes = np.tile([10, 10, 50, 50.0], (20, 1))
    assert draw(BLACK, boxes, np.arange(20), [str(n) for n in range(20)]).shape == BLACK.shape


def test_png_keeps_every_pixel():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    data = encode_png(image)
    assert data.startswith(b"\x89PNG\r\n")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], image)
