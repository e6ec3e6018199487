"""The chapter "errors": what each kind costs and where, whether scores are what they say, and at which threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import numerals
from ablab.reports.diagnosis import fields
from ablab.reports.diagnosis.bars import Bar, bars
from ablab.reports.diagnosis.block import Block, Cell, Heat
from ablab.reports.diagnosis.lines import reliability
from ablab.reports.grids import Grid

MOST_PARTS = 24  # slices of one division in the heat table: those that cost most
OBJECTS = 5  # detections in a bin below which its precision says nothing


def blocks(numbers: Mapping[str, Any]) -> list[Block]:
    """The chapter's blocks; a reading that is missing has none."""
    reading = fields.table(numbers, "errors")
    costs = fields.rows(reading, "costs")
    return [
        _kinds(reading, [cost for cost in costs if not fields.text(cost, "by")]),
        _slices([cost for cost in costs if fields.text(cost, "by")]),
        _calibration(fields.table(numbers, "calibration")),
        _operating(fields.rows(numbers, "operating")),
        _shift(fields.table(numbers, "shift")),
    ]


def _kinds(reading: Mapping[str, Any], costs: Sequence[Mapping[str, Any]]) -> Block:
    known = [(cost, value) for cost in costs if (value := fields.number(cost, "ap50")) is not None]
    if not known:
        return Block("")
    rows = [
        Bar(
            fields.text(cost, "kind"),
            value,
            fields.pair(cost, "ap50_interval"),
            f"{numerals.signed(value)} · {fields.count(cost, 'count')}",
            fields.text(cost, "kind").startswith("false "),
        )
        for cost, value in known
    ]
    head = ["kind", "AP50 to gain", "interval", "errors shown", "interval", "at any score"]
    grid = [
        (
            fields.text(cost, "kind"),
            [
                numerals.signed(value),
                numerals.interval(fields.pair(cost, "ap50_interval")),
                fields.count(cost, "count"),
                _counts(fields.pair(cost, "count_interval")),
                fields.count(cost, "at_any_score"),
            ],
        )
        for cost, value in known
    ]
    drawn = bars(rows, "AP50 gained if this kind were put right", "error-kinds", "AP50 cost and count of each kind")
    return Block(
        "What each kind of error costs",
        f"AP50 is {numerals.score(fields.number(reading, 'ap50'))} on {fields.count(reading, 'images')} images with "
        f"{fields.count(reading, 'objects')} objects. If every error of a kind were put right and nothing else, AP50 "
        "would rise by so much: the most that there is to win. Costs do not add up, since each acts alone.",
        [drawn],
        note="Bar: gain in AP50 over all scores. Line: interval over new images. Number at the right: gain, and errors "
        f"that score at least {fields.plain(reading, 'threshold')}. Pale: every wrong detection, and every object that "
        "was not found.",
        more=[("Numbers", Grid(head, grid))],
    )


def _counts(found: tuple[float, float] | None) -> str:
    return f"[{found[0]:,.0f}, {found[1]:,.0f}]" if found else numerals.NOTHING


def _slices(costs: Sequence[Mapping[str, Any]]) -> Block:
    """A shaded table: a row a slice, a column a kind; the shade is the cost's share of the largest."""
    kinds = list(dict.fromkeys(fields.text(cost, "kind") for cost in costs))
    most = max((fields.number(cost, "ap50") or 0.0 for cost in costs), default=0.0)
    divisions: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for cost in costs:
        parts = divisions.setdefault(fields.text(cost, "by"), {})
        parts.setdefault(fields.text(cost, "part"), {})[fields.text(cost, "kind")] = cost
    if not divisions:
        return Block("")
    groups = [(by, _parts(parts, kinds, most)) for by, parts in divisions.items()]
    long = [by for by, parts in divisions.items() if len(parts) > MOST_PARTS]
    also = f" Of each {numerals.listing(long)} only the {MOST_PARTS} that cost most are shown." if long else ""
    return Block(
        "Where the errors are",
        "AP50 to gain if one kind of error were put right in one slice alone; the darker, the more.",
        heat=Heat(["slice", "objects", *kinds], groups),
        note="Sizes are COCO's: small below 32² and large above 96² pixels of the image. Tall below 0.75, wide above "
        "1.33 in width over height. Neighbours are objects whose boxes meet. An empty cell: no such error." + also,
    )


def _parts(
    parts: Mapping[str, Mapping[str, Mapping[str, Any]]], kinds: Sequence[str], most: float
) -> list[tuple[str, list[Cell]]]:
    def worth(part: str) -> float:
        return sum(fields.number(cost, "ap50") or 0.0 for cost in parts[part].values())

    kept = sorted(parts, key=worth, reverse=True)[:MOST_PARTS]
    rows = []
    for part in parts:
        if part in kept:
            objects = Cell(fields.count(next(iter(parts[part].values())), "objects"))
            rows.append((part, [objects, *(_cost(parts[part].get(kind, {}), most) for kind in kinds)]))
    return rows


def _cost(cost: Mapping[str, Any], most: float) -> Cell:
    value = fields.number(cost, "ap50")
    if value is None or (not value and not fields.number(cost, "at_any_score")):
        return Cell("")
    return Cell(numerals.signed(value), max(value, 0.0) / most if most > 0 else 0.0)


def _calibration(found: Mapping[str, Any]) -> Block:
    bins = [
        (score, precision, fields.number(each, "count") or 0.0, fields.pair(each, "interval"))
        for each in fields.rows(found, "bins")
        if (score := fields.number(each, "score")) is not None
        and (precision := fields.number(each, "precision")) is not None
        and (fields.number(each, "count") or 0.0) >= OBJECTS
    ]
    if len(bins) < 2:
        return Block("")
    return Block(
        "Whether scores are what they say",
        f"The {fields.count(found, 'detections')} detections that score at least {fields.plain(found, 'least')} have a "
        f"mean score of {numerals.score(fields.number(found, 'score'))} and a precision of "
        f"{numerals.score(fields.number(found, 'precision'))}: a gap of "
        f"{numerals.signed(fields.number(found, 'gap'))}{_interval(found, 'gap_interval')}. {_sure(found)}"
        f"The calibration error (D-ECE) is {numerals.score(fields.number(found, 'ece'))}, of which "
        f"{numerals.score(fields.number(found, 'by_chance'))} would be seen by chance if the scores were perfect.",
        [reliability(bins, "reliability")],
        note=f"A dot a bin of scores with {OBJECTS} detections or more, as large as their number; below the dashed "
        "line the detector promises more than it keeps.",
    )


def _sure(found: Mapping[str, Any]) -> str:
    """What the gap says, where its interval is on one side of zero."""
    low, high = fields.pair(found, "gap_interval") or (0.0, 0.0)
    side = "too sure" if low > 0 else "not sure enough" if high < 0 else ""
    return f"The detector is {side} of itself. " if side else ""


def _interval(found: Mapping[str, Any], name: str) -> str:
    ends = fields.pair(found, name)
    return f" {numerals.interval(ends)}" if ends else ""


def _operating(goals: Sequence[Mapping[str, Any]]) -> Block:
    rows = [
        (
            f"{fields.text(goal, 'goal')} {fields.plain(goal, 'value')}",
            [
                fields.text(goal, "chosen_on"),
                numerals.score(fields.number(point, "threshold")),
                numerals.score(fields.number(point, "precision")) + fields.span(point, "precision_interval"),
                numerals.score(fields.number(point, "recall")) + fields.span(point, "recall_interval"),
                fields.plain(point, "false_positives_per_image") + fields.span(point, "false_positives_interval"),
            ],
        )
        for goal in goals
        if fields.number(point := fields.table(goal, "point"), "threshold") is not None
    ]
    head = ["asked for", "chosen on", "threshold", "precision", "recall", "wrong boxes an image"]
    return Block(
        "At the operating points",
        "Of all boxes shown, so many are right; of all objects, so many are found, at IoU 0.5.",
        tables=[Grid(head, rows)] if rows else [],
        note="In brackets: intervals over new images. On the split that it was chosen on, a threshold looks better "
        "than it is.",
    )


def _shift(found: Mapping[str, Any]) -> Block:
    rows = [
        (
            fields.share(each, "level"),
            [
                numerals.score(fields.number(each, "before")),
                numerals.score(fields.number(each, "after")),
                numerals.signed(fields.number(each, "shift")),
                numerals.interval(fields.pair(each, "interval")),
            ],
        )
        for each in fields.rows(found, "quantiles")
        if fields.number(each, "level") is not None
    ]
    return Block(
        "How scores moved against the other run",
        f"Over the {fields.count(found, 'found_by_both')} objects that both runs found, scores moved by "
        f"{numerals.signed(fields.number(found, 'paired'))}{_interval(found, 'paired_interval')} in the median. The "
        f"other run found {fields.count(found, 'found_before')} objects, this one "
        f"{fields.count(found, 'found_after')}.",
        tables=[Grid(["quantile", "before", "after", "shift", "interval"], rows)] if rows else [],
        note="Quantiles of the scores of right detections. Where all move together, thresholds have to move with them, "
        "and AP is left alone.",
    )
