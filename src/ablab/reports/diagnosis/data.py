"""The chapter "data": classes, sizes, anchors, copies between splits, and labels to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import numerals
from ablab.reports.diagnosis import fields, suspects
from ablab.reports.diagnosis.bars import Spread, sizes
from ablab.reports.diagnosis.block import Block, Cell, Heat, cut
from ablab.reports.diagnosis.lines import columns
from ablab.reports.grids import Grid

Splits = Mapping[str, Any]  # {split: its reading}
MOST_LEAKS = 15


def blocks(numbers: Mapping[str, Any]) -> list[Block]:
    """The chapter's blocks; a reading that is missing has none."""
    splits = fields.table(numbers, "data", "splits")
    return [
        _classes(splits),
        _crowding(splits),
        _sizes(splits, fields.numbers(numbers, "data", "image_size")),
        _anchors(fields.table(numbers, "data", "anchors")),
        _leaks(fields.table(numbers, "leaks")),
        suspects.agreement(fields.rows(numbers, "agreement")),
        *(suspects.ranked(each) for each in fields.rows(numbers, "suspicion")),
    ]


def _classes(splits: Splits) -> Block:
    """Labels of each class by split, shaded within a split; a class without any is marked."""
    counts: dict[str, dict[str, float]] = {}
    for split in splits:
        found = fields.table(splits, split, "balance")
        for name, count in zip(fields.items(found, "classes"), fields.numbers(found, "counts"), strict=False):
            counts.setdefault(str(name), {})[split] = count
    if not counts:
        return Block("")
    most = {split: max((row.get(split, 0.0) for row in counts.values()), default=0.0) for split in splits}

    def cell(row: Mapping[str, float], split: str) -> Cell:
        if split not in row:
            return Cell("")
        return Cell(fields.count(row[split]), row[split] / most[split] if most[split] > 0 else 0.0, row[split] == 0)

    rows = [(name, [cell(row, split) for split in splits]) for name, row in counts.items()]
    even = [said for split in splits if (said := _evenness(split, fields.table(splits, split, "balance")))]
    said = f"Of {len(counts)} classes: {'; '.join(even)}." if even else ""
    return Block("Labels by class", said, heat=Heat(["class", *splits], [("", rows)]))


def _evenness(split: str, found: Mapping[str, Any]) -> str:
    """`train is as even as 4.1 equal classes (Gini 0.31, the largest has 12 times the labels of the smallest)`"""
    if fields.number(found, "effective") is None:
        return ""
    times = fields.number(found, "imbalance")
    largest = "" if times is None else f", the largest class has {times:.3g} times the labels of the smallest"
    return (
        f"{split} is as even as {fields.plain(found, 'effective')} equal classes (Gini {fields.plain(found, 'gini')}"
        f"{largest})"
    )


def _crowding(splits: Splits) -> Block:
    found = {split: each for split in splits if (each := fields.table(splits, split, "crowding"))}
    names = ("images", "least", "median", "mean", "most")
    rows = [
        (split, [*(fields.plain(each, name) for name in names), fields.share(each, "empty")])
        for split, each in found.items()
    ]
    drawn = [
        columns(pairs, "objects", f"objects-{split}", split)
        for split, each in found.items()
        if len(pairs := fields.pairs(each, "histogram")) > 1
    ]
    head = ["split", "images", "least", "median", "mean", "most", "without any"]
    return Block("Objects an image", drawings=drawn, tables=[Grid(head, rows)] if rows else [])


def _sizes(splits: Splits, image_size: Sequence[float]) -> Block:
    reaches = {split: each for split in splits if (each := fields.table(splits, split, "reach"))}
    spreads = [row for split, each in reaches.items() if (row := spread(split, fields.pairs(each, "quantiles")))]
    limits = list(dict.fromkeys(limit for each in reaches.values() for limit, _ in fields.pairs(each, "below")))
    rows = []
    for split, each in reaches.items():
        below = dict(fields.pairs(each, "below"))
        cells = [fields.share(below.get(limit)) for limit in limits]
        rows.append((split, [fields.count(each, "objects"), *cells, fields.share(each, "below_stride")]))
    stride = next((value for each in reaches.values() if (value := fields.number(each, "stride"))), None)
    strides = [stride * 2**level for level in range(3)] if stride else []
    by_class = [
        (str(name), [fields.plain(median), fields.share(part)])
        for name, median, part in (each for each in fields.items(reaches.get("train"), "by_class") if _triple(each))
    ]
    head = ["split", "objects", *(f"below {limit:g} px" for limit in limits), f"below a cell ({stride or 0:g} px)"]
    at = f" {image_size[0]:g} × {image_size[1]:g}" if len(image_size) == 2 else ""
    marks = [(f"{level:g}", level) for level in strides]
    return Block(
        f"Sizes at the input{at}",
        "Square root of width times height, in pixels of the network's input, as it is after letterboxing.",
        [sizes(spreads, marks, "sizes", "Sizes of objects by split")] if spreads else [],
        tables=[Grid(head, rows), *_lifts(reaches)] if rows else [],
        note="Thin: 5% to 95% of the objects; thick: the middle half; notch: the median. Dotted: the strides.",
        more=[("By class, in train", Grid(["class", "median px", "below a cell"], by_class))] if by_class else [],
    )


def _triple(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3


def spread(name: str, quantiles: Sequence[tuple[float, float]]) -> Spread | None:
    """A row of sizes from (share, pixels); None without two quantiles."""
    if len(quantiles) < 2:
        return None
    at = dict(quantiles)
    inner = (at[0.25], at[0.75]) if 0.25 in at and 0.75 in at else None
    ends = (quantiles[0][1], quantiles[-1][1])
    return Spread(name, ends, inner, at.get(0.5), f"{ends[0]:.3g} – {ends[1]:.3g} px")


def _lifts(reaches: Mapping[str, Mapping[str, Any]]) -> list[Grid]:
    """The input that would make train's objects large enough."""
    rows = [
        (
            f"{fields.plain(lift, 'pixels')} px",
            [
                " × ".join(fields.plain(side) for side in fields.items(lift, "size")),
                fields.plain(lift, "factor"),
                fields.share(lift, "enlarged"),
            ],
        )
        for lift in fields.rows(reaches, "train", "lifts")
    ]
    head = ["for 90% of train to reach", "input, H × W", "times as large", "images enlarged by it"]
    return [Grid(head, rows)] if rows else []


def _anchors(found: Mapping[str, Any]) -> Block:
    levels = [
        (
            fields.plain(level, "stride"),
            [
                ", ".join(f"{w:.3g} × {h:.3g}" for w, h in fields.pairs(level, "anchors")),
                *(fields.share(level, name) for name in ("reached", "alone", "nearest")),
                numerals.score(fields.number(level, "overlap")),
            ],
        )
        for level in fields.rows(found, "levels")
    ]
    missed = [
        (fields.text(each, "image"), [fields.text(each, "label"), _side(each), fields.text(each, "why")])
        for each in fields.rows(found, "unreached")
    ]
    many = fields.count(found, "unreached_count")
    if fields.number(found, "unreached_count") != len(missed):
        many += f", the smallest {len(missed)} of them"
    head = ["stride", "anchors, px", "reached", "by it alone", "nearest", "mean IoU"]
    return Block(
        "How the anchors fit",
        f"The anchors reach {fields.share(found, 'recall')} of {fields.count(found, 'objects')} objects, the most that "
        f"the head can learn from; the mean best IoU is {numerals.score(fields.number(found, 'mean_best_iou'))}.",
        tables=[Grid(head, levels)] if levels else [],
        more=[(f"Objects that no anchor reaches: {many}", Grid(["image", "class", "w × h, px", "why"], missed))]
        if missed
        else [],
    )


def _side(each: Mapping[str, Any]) -> str:
    return f"{fields.plain(each, 'width')} × {fields.plain(each, 'height')}"


def _leaks(found: Mapping[str, Any]) -> Block:
    splits, honest = fields.table(found, "splits"), fields.table(found, "flattered")
    rows = [
        (
            split,
            [
                *(fields.count(splits, split, name) for name in ("images", "leaked_count", "in_train_count")),
                fields.share(splits, split, "share"),
                fields.count(splits, split, "repeated_count"),
                numerals.score(fields.number(honest, split, "ap50")),
                numerals.score(fields.number(honest, split, "honest")),
            ],
        )
        for split in splits
    ]
    copies = [
        (fields.text(each, "where"), [fields.text(each, "kind"), fields.text(each, "detail")])
        for each in fields.rows(found, "found")
    ]
    shown = f"; the first {len(copies)} are listed" if len(copies) < (fields.number(found, "found_count") or 0) else ""
    tables, more = cut(["image", "what", "where"], copies, MOST_LEAKS)
    head = [
        "split",
        "images",
        "in an earlier split",
        "of them in train",
        "share",
        "repeated within",
        "AP50",
        "without them",
    ]
    return Block(
        "Copies between splits",
        f"An image that stands in train, too, is no test. Copies found: {fields.count(found, 'found_count')}{shown}.",
        tables=[*([Grid(head, rows)] if rows else []), *tables],
        more=more,
    )
