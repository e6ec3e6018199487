"""Labels that the network disagrees with: how many, which first, and how much of the error they explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import numerals
from ablab.reports.diagnosis import fields
from ablab.reports.diagnosis.block import Block, cut
from ablab.reports.grids import Grid

MOST = 20
SAYS = {
    "missing": "an object without a label",
    "class": "a label of another class",
    "place": "a label in the wrong place",
    "spurious": "a label without an object",
}


def agreement(splits: Sequence[Mapping[str, Any]]) -> Block:
    """What labels answer to the surest detections, by split: whether the network may judge them."""
    answers = list(dict.fromkeys(name for each in splits for name in fields.table(each, "shares")))
    rows = [
        (
            fields.text(each, "split"),
            [
                fields.count(each, "asked"),
                *(fields.share(each, "shares", name) for name in answers),
                numerals.score(fields.number(each, "overlap")),
                "yes" if fields.inside(each, "trusted") is True else "no",
            ],
        )
        for each in splits
    ]
    head = ["split", "sure detections", *answers, "median IoU", "may judge"]
    return Block(
        "What labels answer to sure detections",
        "A network that labels agree with where it is sure may say which of them are wrong.",
        tables=[Grid(head, rows)] if rows else [],
    )


def ranked(found: Mapping[str, Any]) -> Block:
    """The suspects of a split."""
    rows = [
        (
            f"{place}",
            [
                numerals.score(fields.number(each, "suspicion")),
                fields.text(each, "kind"),
                fields.text(each, "image"),
                fields.text(each, "label") or numerals.NOTHING,
                _seen(each),
                numerals.score(fields.number(each, "overlap") if fields.text(each, "seen") else None),
            ],
        )
        for place, each in enumerate(fields.rows(found, "ranked"), start=1)
    ]
    tables, more = cut(["", "suspicion", "kind", "image", "label", "the network sees", "IoU"], rows, MOST)
    if not tables:
        return Block("")
    return Block(
        f"Labels to look at first, in {fields.text(found, 'split') or 'a split'}",
        f"The network disagrees {fields.count(found, 'ranked_count')} times with {fields.count(found, 'labels')} "
        "labels, the most suspicious first. A disagreement is no proof: look before you correct.",
        tables=[*_doubtful(found), *_explained(found), *tables],
        more=more,
        note="Suspicion is between 0 and 1. IoU is that of the label and of what the network sees; for a missing "
        "label, with the nearest one.",
    )


def _seen(each: Mapping[str, Any]) -> str:
    seen, score = fields.text(each, "seen"), fields.number(each, "score")
    return f"{seen} ({score:.2f})" if seen and score is not None else seen or numerals.NOTHING


def _doubtful(found: Mapping[str, Any]) -> list[Grid]:
    """How many labels are doubtful, by kind."""
    rows = [
        (f"{kind}: {SAYS[kind]}" if kind in SAYS else kind, [fields.count(pair, 0), fields.share(pair, 1)])
        for kind, pair in fields.table(found, "doubtful").items()
    ]
    return [Grid(["kind", "suspicion 0.5 or more", "of the labels"], rows)] if rows else []


def _explained(found: Mapping[str, Any]) -> list[Grid]:
    """AP50 if the first of the list were as the network says: an upper bound."""
    rows = [
        (
            f"the first {fields.count(each, 'top')}",
            [numerals.score(fields.number(each, "ap50")), fields.share(each, "share")],
        )
        for each in fields.rows(found, "explained")
    ]
    before = [("as they are", [numerals.score(fields.number(found, "ap50")), ""])] if rows else []
    return [Grid(["labels corrected", "AP50", "of the error, at most"], [*before, *rows])] if rows else []
