"""The anchor-free head: decoding by hand, there and back, priors and shapes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablab.measure.seeding import forked
from ablab.tasks.detection.grid import Grid, along
from ablab.tasks.detection.heads import AnchorFreeHead
from ablab.tasks.detection.heads.anchor_free import boxes_at, distances_of, mean_distance

STRIDES, SIZES = (8, 16, 32), ((4, 6), (2, 3), (1, 2))
CHANNELS = (8, 16, 32)


def head(classes=3, bins=8):
    with forked("head", 0):
        return AnchorFreeHead(CHANNELS, classes, bins, STRIDES)


def test_decode_one_cell_by_hand():
    """Level 1 (stride 16), row 1, column 2: its centre is (40, 24). Left is certain of bin 1, right of bin 3; up lies
    halfway between 0 and 1, down is flat over 0 .. 7, whose mean is 3.5."""
    raw = [torch.zeros(1, 4 * 8 + 3, *size) for size in SIZES]
    cell = raw[1][0, :, 1, 2]
    cell[0 + 1], cell[16 + 3] = 100.0, 100.0
    cell[8 + 0] = cell[8 + 1] = 100.0
    cell[32:] = torch.tensor([0.0, math.log(3), -math.log(3)])
    boxes, scores = head().decode(raw)
    place = 24 + 1 * 3 + 2
    torch.testing.assert_close(boxes[0, place], torch.tensor([40 - 16, 24 - 8, 40 + 48, 24 + 56.0]))
    torch.testing.assert_close(scores[0, place], torch.tensor([0.5, 0.75, 0.25]))
    assert boxes.shape == (1, 24 + 6 + 2, 4)


def test_low_precision_maps_are_decoded_in_float32_also_under_autocast():
    raw = [torch.randn(1, 35, *size, generator=torch.Generator().manual_seed(0)).bfloat16() for size in SIZES]
    with torch.autocast("cpu", torch.bfloat16):
        boxes, scores = head().decode(raw)
    expected, _ = head().decode([y.float() for y in raw])
    assert boxes.dtype == scores.dtype == torch.float32
    assert torch.equal(boxes, expected)


@given(
    x=st.integers(0, 63), y=st.integers(0, 63), left=st.floats(0, 7), up=st.floats(0, 7), right=st.floats(0, 7),
    down=st.floats(0, 7),
)  # fmt: skip
def test_a_box_becomes_distributions_and_comes_back(x, y, left, up, right, down):
    """A distance between two bins is the mean of a distribution over these two."""
    centre, stride = torch.tensor([[x, y]]) * 8.0 + 4, torch.tensor([[8.0]])
    box = torch.cat((centre - 8 * torch.tensor([[left, up]]), centre + 8 * torch.tensor([[right, down]])), dim=1)
    distances = distances_of(box, centre, stride)
    low = distances.floor().clamp(max=6).long()
    share = distances - low
    weights = torch.zeros(1, 4, 8).scatter(2, low[..., None], 1 - share[..., None])
    weights = weights.scatter_add(2, low[..., None] + 1, share[..., None])
    back = boxes_at(mean_distance((weights + 1e-30).log()), centre, stride)
    torch.testing.assert_close(back, box, atol=1e-3, rtol=1e-5)


def test_a_centre_outside_is_a_negative_distance():
    box, centre = torch.tensor([[10.0, 10, 20, 30]]), torch.tensor([[8.0, 16]])
    assert distances_of(box, centre, torch.tensor([[2.0]])).tolist() == [[-1, 3, 6, 7]]


@pytest.mark.parametrize("bins", [8, 16, 32])
def test_priors(bins):
    """Before training every class scores about 0.01 and every box is about four cells wide, however many bins."""
    with torch.no_grad():
        raw = head(bins=bins).eval()([torch.zeros(1, c, *size) for c, size in zip(CHANNELS, SIZES, strict=True)])
    boxes, scores = head(bins=bins).decode(raw)
    assert scores.mean().item() == pytest.approx(0.01, rel=0.1)
    places = range(bins)
    mean = sum(k * (2 / 3) ** k for k in places) / sum((2 / 3) ** k for k in places)  # 2 where bins do not end
    sides = (boxes[0, :, 2:] - boxes[0, :, :2]) / Grid(STRIDES, SIZES, torch.device("cpu")).pitch()
    torch.testing.assert_close(sides, torch.full((32, 2), 2 * mean), rtol=0.2, atol=0)


def test_branches_share_nothing():
    """The box loss moves no weight of the class branch, and the other way round."""
    network = head()
    maps = [torch.randn(2, c, *size) for c, size in zip(CHANNELS, SIZES, strict=True)]
    for part, idle in ((slice(0, 32), network.labels), (slice(32, None), network.sides)):
        network.zero_grad()
        torch.stack([y[:, part].square().sum() for y in network(maps)]).sum().backward()
        assert all(p.grad is None or not p.grad.any() for p in idle.parameters())


def test_a_grid_goes_level_by_level_row_by_row_and_anchor_by_anchor():
    anchors = torch.arange(12.0).view(3, 2, 2)
    grid = Grid(STRIDES, SIZES, torch.device("cpu"), anchors)
    assert (grid.count, grid.counts, grid.starts) == (64, [48, 12, 4], [0, 48, 60])
    place = 48 + (1 * 3 + 2) * 2 + 1  # level 1, row 1, column 2, anchor 1
    assert grid.centres()[place].tolist() == [40, 24]
    assert grid.pitch()[place].tolist() == [16]
    assert grid.sides()[place].tolist() == [6, 7]
    maps = [torch.randn(2, 2 * 5, *size) for size in SIZES]
    flat = along(maps, 2)
    assert flat.shape == (2, 64, 5)
    assert torch.equal(flat[1, place], maps[1][1, 5:, 1, 2])


def test_maps_in_channels_last_lie_along_the_grid_as_they_are():
    maps = [torch.randn(2, 7, *size).contiguous(memory_format=torch.channels_last) for size in SIZES]
    assert torch.equal(along(maps), along([y.contiguous() for y in maps]))
