"""Images that stand in a data set twice: the same bytes, or nearly the same picture.

    thumbnail 32 x 32 - what all images share --9 x 8--> dHash, 64 bit --Hamming <= 10--> candidates
              |--high pass--> detail ------------------------------------correlation >= 0.9--> near-duplicates

The hash is the sign of the horizontal gradient (Krawetz 2013, "Kind of like that"). What is shared, a microscope's
vignette or the scene of a fixed camera, is the mean thumbnail; without it images are compared by what is their own. On
BCCD and photo-digits copies under JPEG quality 30, half and 1.7 times the size, noise, blur, gamma and a crop by 1% of
each side correlate by 0.92 or more, and different images by 0.34 or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.check.images import SIDE, Look
from ablab.tasks.detection.formats.defect import Defect

RADIUS = 10  # bits of 64 in which the hashes of two copies may differ
ALIKE = 0.9  # correlation of details
FLAT = 1.0  # grey levels: a picture with less detail than that is like any other
SHARED_FROM = 50  # images: of fewer, the mean is too much of each
BLUR = 2.0  # pixels of the thumbnail: standard deviation of what is not detail
NEAREST = 64  # candidates of an image that are compared: a camera that stands still makes every image one
ROWS = 256  # images whose distances are in memory at a time


@dataclass(frozen=True)
class Member:
    """An image, and the first split that it is in."""

    split: str
    image: Annotation


def copy_defects(members: Sequence[Member], looks: Sequence[Look]) -> Iterator[Defect]:
    """One defect for every image that is a copy of one before it, of another split if there is such a one.

    Members come by split, so that an image of train which is also in test is named where it does harm, in test.
    """
    first: dict[bytes, int] = {}
    unique = []
    for index, (member, look) in enumerate(zip(members, looks, strict=True)):
        if look.error:
            continue
        place = first.setdefault(look.content, index)
        if place == index:
            unique.append(index)
        else:
            yield _same(member, members[place])
    splits = [members[index].split for index in unique]
    for one, other, likeness in near_duplicates(np.array([looks[index].thumbnail for index in unique]), splits):
        member, original = members[unique[one]], members[unique[other]]
        apart = member.split != original.split
        detail = f"looks like {original.image.id} (of {original.split}); their details correlate by {likeness:.2f}"
        yield Defect("near-duplicate in two splits" if apart else "near-duplicate", member.image.id, detail)


def _same(member: Member, original: Member) -> Defect:
    one, other = member.image, original.image
    detail = f"its file holds the same as that of {other.id}"
    if sorted(zip(one.labels.tolist(), one.boxes.tolist(), strict=True)) != sorted(
        zip(other.labels.tolist(), other.boxes.tolist(), strict=True)
    ):
        detail += ", which is annotated otherwise"
    if member.split == original.split:
        return Defect("same image twice", one.id, detail)
    return Defect("same image in two splits", one.id, f"{detail}: {member.split} and {original.split}")


def near_duplicates(thumbnails: np.ndarray, splits: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    """Every image that is like an earlier one, as (image, the earlier one, correlation).  (N, SIDE, SIDE) uint8

    Of several earlier ones it is the likest in another split, or else the likest. Each image's `NEAREST` candidates are
    compared, those of other splits before those of its own.
    """
    if len(thumbnails) < 2:
        return
    shared = thumbnails.mean(0) if len(thumbnails) >= SHARED_FROM else np.zeros((SIDE, SIDE))
    details = np.zeros((len(thumbnails), SIDE * SIDE), np.float32)
    hashes = np.zeros(len(thumbnails), np.uint64)
    for row, thumbnail in enumerate(thumbnails):
        own = (thumbnail - shared).astype(np.float32)
        details[row], hashes[row] = _detail(own), dhash(own)
    rows = np.flatnonzero(details.any(1))
    part = np.unique(np.array(splits), return_inverse=True)[1][rows]
    for one, others in candidates(hashes[rows], part):
        likeness = details[rows[others]] @ details[rows[one]]
        order = np.lexsort((-likeness, part[others] == part[one], likeness < ALIKE))
        if likeness[order[0]] >= ALIKE:
            yield int(rows[one]), int(rows[others[order[0]]]), float(likeness[order[0]])


def dhash(picture: np.ndarray) -> int:
    """Where a picture (H, W) becomes brighter to the right, in a grid of 8 x 8.  -> 64 bits"""
    grid = cv2.resize(picture, (9, 8), interpolation=cv2.INTER_AREA)
    return int(np.packbits(grid[:, 1:] > grid[:, :-1]).view(np.uint64)[0])


def candidates(hashes: np.ndarray, part: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The earlier ones of each row whose hash is at most `RADIUS` bits away, where there are any.  (N,) uint64, (N,)

    At most `NEAREST` of them, those of another part first, then by distance. All pairs are compared, `ROWS` by N at a
    time: 20,000 images take about a second.
    """
    for start in range(0, len(hashes), ROWS):
        stop = min(start + ROWS, len(hashes))
        distance = _ones(hashes[start:stop, None] ^ hashes[None, :stop])  # (ROWS, stop)
        distance[np.arange(start, stop)[:, None] <= np.arange(stop)] = 65  # only earlier ones
        for row in np.flatnonzero((distance <= RADIUS).any(1)):
            near = np.flatnonzero(distance[row] <= RADIUS)
            rank = distance[row, near] + np.where(part[near] == part[start + row], 65, 0)
            yield start + int(row), near[np.argsort(rank, kind="stable")[:NEAREST]]


def _ones(words: np.ndarray) -> np.ndarray:
    """The number of set bits in each of some 64-bit words.  (...) uint64 -> (...) uint8"""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    table = np.array([bin(value).count("1") for value in range(256)], np.uint8)  # numpy 1
    return table[words[..., None].view(np.uint8)].sum(-1, dtype=np.uint8)


def _detail(picture: np.ndarray) -> np.ndarray:
    """A picture without what is smooth, as a vector of length 1 and mean 0; zeros where it is flat."""
    fine = (picture - cv2.GaussianBlur(picture, (0, 0), BLUR)).ravel()
    fine -= fine.mean()
    return fine / np.linalg.norm(fine) if fine.std() >= FLAT else np.zeros_like(fine)
