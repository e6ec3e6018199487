"""The search for copies, held against brute force, known pictures and what must not be called a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ablab.tasks.detection.formats.check.copies import (
    ALIKE,
    NEAREST,
    RADIUS,
    SHARED_FROM,
    candidates,
    dhash,
    near_duplicates,
)
from ablab.tasks.detection.formats.check.images import SIDE
from ablab.tasks.detection.formats.reading import read_image


def test_the_bits_of_a_hash_by_hand() -> None:
    """A ramp to the right sets every bit, a ramp to the left none; a step in one row sets one bit."""
    ramp = np.tile(np.arange(9, dtype=np.float32), (8, 1))
    assert dhash(ramp) == 2**64 - 1
    assert dhash(-ramp) == 0
    step = np.zeros((8, 9), np.float32)
    step[3, 5:] = 1
    assert bin(dhash(step)).count("1") == 1


@given(
    npst.arrays(np.uint64, st.integers(1, 40), elements=st.sampled_from([0, 2**64 - 1, 0x0F0F0F0F0F0F0F0F])),
    st.integers(0, 2**32 - 1),
)
def test_candidates_are_those_of_brute_force(hashes: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for row in range(len(hashes)):
        for bit in rng.choice(64, int(rng.integers(0, 9)), replace=False):
            hashes[row] ^= np.uint64(1) << np.uint64(bit)
    part = rng.integers(0, 3, len(hashes))
    found = dict(candidates(hashes, part))
    for row in range(len(hashes)):
        distances = {i: bin(int(hashes[row]) ^ int(hashes[i])).count("1") for i in range(row)}
        near = {i for i, distance in distances.items() if distance <= RADIUS}
        assert set(found.get(row, np.zeros(0, int)).tolist()) == near
        if row in found:
            ranks = [(part[i] == part[row], distances[i]) for i in found[row]]
            assert ranks == sorted(ranks)


def test_chunks_of_rows_miss_nothing() -> None:
    """Twins far apart, over several chunks."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 1200, dtype=np.uint64)
    hashes[600:] = hashes[:600]
    found = dict(candidates(hashes, np.zeros(1200, int)))
    assert {row: others.tolist() for row, others in found.items()} == {600 + i: [i] for i in range(600)}


def test_of_many_candidates_those_of_other_splits_come_first() -> None:
    part = np.array([0] * 200 + [1] * 3 + [0])
    found = dict(candidates(np.zeros(204, np.uint64), part))
    assert len(found[203]) == NEAREST
    assert found[203][:3].tolist() == [200, 201, 202]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of what a Gaussian blur takes away, by numpy's own formula."""
    fine = [picture - cv2.GaussianBlur(picture, (0, 0), 2.0) for picture in (one, other)]
    return float(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1])


@given(st.integers(0, 2**32 - 1), st.integers(2, 14))
def test_near_duplicates_are_those_of_brute_force(seed: int, count: int) -> None:
    """Few patterns under noise of many strengths, so that likeness falls on both sides of the border."""
    rng = np.random.default_rng(seed)
    patterns = rng.uniform(60, 190, (3, SIDE, SIDE))
    noise = rng.normal(0, 1, (count, SIDE, SIDE)) * rng.uniform(0, 40, (count, 1, 1))
    pictures = (patterns[rng.integers(0, 3, count)] + noise).clip(0, 255).astype(np.uint8)
    splits = [("train", "validation", "test")[i] for i in sorted(rng.integers(0, 3, count))]
    expected = {}
    floats = pictures.astype(np.float32)
    for i in range(count):
        alike = {
            j: correlation(floats[i], floats[j])
            for j in range(i)
            if bin(dhash(floats[i]) ^ dhash(floats[j])).count("1") <= RADIUS
        }
        alike = {j: value for j, value in alike.items() if value >= ALIKE}
        if alike:
            expected[i] = max(alike, key=lambda j: (splits[j] != splits[i], alike[j]))
    found = {one: other for one, other, _ in near_duplicates(pictures, splits)}
    assert found == expected


def pictures(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 12, 12)).astype(np.float32)
    return np.array([cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for each in coarse]).clip(0, 255)


def search(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    found = near_duplicates(thumbnails.clip(0, 255).round().astype(np.uint8), ["train"] * len(thumbnails))
    return [(one, other) for one, other, _ in found]


def test_flat_pictures_are_no_copies_of_each_other() -> None:
    rng = np.random.default_rng(1)
    level = rng.uniform(20, 230, (80, 1, 1))
    assert search(level + rng.normal(0, 0.5, (80, SIDE, SIDE))) == []
    assert search(level[:10] + np.zeros((10, SIDE, SIDE))) == []


def test_what_all_images_share_makes_no_copies_but_copies_are_found() -> None:
    """A strong pattern behind them all, as of a fixed camera: what is in front of it decides."""
    scene = pictures(1, 7)[0] * 0.6
    own = pictures(SHARED_FROM + 10, 8) * 0.25
    own[40] = own[3] + 0.5
    assert search(scene + own) == [(40, 3)]


def test_fewer_than_two_images_have_no_copies() -> None:
    assert search(pictures(1)) == []
    assert list(near_duplicates(np.array([]), [])) == []


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quality 30": lambda i: cv2.imdecode(cv2.imencode(".jpg", i, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1),
    "half": lambda i: cv2.resize(i, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "larger": lambda i: cv2.resize(i, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC),
    "brighter": lambda i: np.clip(i * 1.2 + 5, 0, 255).astype(np.uint8),
    "grey": lambda i: cv2.cvtColor(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    "cropped": lambda i: np.ascontiguousarray(i[4:-4, 6:-6]),
}


@pytest.mark.parametrize("change", COPIES)
def test_copies_of_real_cells_are_found_and_nothing_else(change: str, bccd: Path) -> None:
    def thumbnail(image: np.ndarray) -> np.ndarray:
        return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    images = [read_image(path) for path in sorted((bccd / "JPEGImages").iterdir())[100:140]]
    thumbnails = [thumbnail(image) for image in images] + [thumbnail(COPIES[change](image)) for image in images]
    found = [(one, other) for one, other, _ in near_duplicates(np.array(thumbnails), ["train"] * 40 + ["test"] * 40)]
    assert found == [(40 + i, i) for i in range(40)]
