"""The chapter "network": what it can see, what of it works, and where its time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import numerals
from ablab.reports.canvas import PALETTE
from ablab.reports.diagnosis import fields
from ablab.reports.diagnosis.bars import Bar, Field, Spread, bars, sizes
from ablab.reports.diagnosis.block import Block, cut
from ablab.reports.diagnosis.data import spread
from ablab.reports.diagnosis.lines import WIDE, lines
from ablab.reports.grids import Grid

MOST_LAYERS = 20
MOST_ROWS = 12
DULL = 0.01  # share of a layer's units that are dead, from which it is listed
GUTTER_OF_LAYERS = 196  # px
BUSY = 0.75  # of a plain pass: where the modules' sum is less, the machine was busy (`diagnose.network.timing`)
STUCK = 0.5  # share of a gate's outputs near an end, from which it is listed


def blocks(numbers: Mapping[str, Any], objects: Sequence[tuple[float, float]] = ()) -> list[Block]:
    """The chapter's blocks; `objects` are quantiles (share, pixels) of sizes where the chapter has none of its own."""
    return [
        _fields(numbers, fields.pairs(numbers, "objects") or objects),
        _activity(fields.rows(numbers, "activity")),
        _scales(fields.rows(numbers, "scales")),
        _unused(fields.rows(numbers, "unused")),
        _timing(fields.table(numbers, "timing")),
    ]


def _fields(numbers: Mapping[str, Any], objects: Sequence[tuple[float, float]]) -> Block:
    theory = {fields.text(each, "name"): each for each in fields.rows(numbers, "receptive")}
    heard = {fields.text(each, "name"): each for each in fields.rows(numbers, "effective")}
    sights = {fields.text(each, "name"): each for each in fields.rows(numbers, "sight")}
    names = list(dict.fromkeys([*theory, *heard]))
    if not names:
        return Block("")
    drawn: list[Spread | Field] = []
    rows = []
    for name in names:
        wide, high = (fields.number(theory.get(name), side) for side in ("width", "height"))
        side, effective = min(wide or 0, high or 0) or None, fields.number(heard.get(name), "side")
        drawn.append(Field(name, side, effective, f"{fields.plain(effective)} / {_side(theory.get(name), side)}"))
        rows.append((name, _row(theory.get(name), effective, sights.get(name))))
    band = spread("objects", objects)
    head = [
        "map",
        "stride",
        "theoretical",
        "effective",
        "objects below 0.1",
        "0.1 to 0.5",
        "above 0.5",
        "longer than heard",
    ]
    return Block(
        "What each map can see",
        "The theoretical field is what can reach a cell at all; the effective one holds 95% of what its gradient comes "
        "from. A cell that does not hear the whole of an object has to guess its ends.",
        [sizes([*([band] if band else []), *drawn], [], "fields", "Receptive fields in pixels")],
        tables=[Grid(head, rows)],
        note="Pale: theoretical; full: effective, which stands first at the right. Blue: objects, 5% to 95%, the "
        "middle half thick, and grey behind all. Shares are of all objects, by the longer side over the theoretical "
        "field. ≥: cut off by the largest image that was tried.",
    )


def _side(theory: Any, side: float | None) -> str:
    return f"{'≥ ' if fields.inside(theory, 'whole') is True else ''}{fields.plain(side)} px"


def _row(theory: Any, effective: float | None, sight: Any) -> list[str]:
    whole = "≥ " if fields.inside(theory, "whole") is True else ""
    size = f"{whole}{fields.plain(theory, 'width')} × {fields.plain(theory, 'height')}"
    shares = [fields.share(sight, name) for name in ("below", "within", "above", "unseen")]
    return [fields.plain(theory, "stride"), size, fields.plain(effective), *shares]


def _activity(found: Sequence[Mapping[str, Any]]) -> Block:
    def worst(each: Mapping[str, Any]) -> float:
        return max(fields.number(each, "dead") or 0.0, (fields.number(each, "saturated") or 0.0) - STUCK)

    def listed(each: Mapping[str, Any]) -> bool:
        return (fields.number(each, "dead") or 0.0) >= DULL or (fields.number(each, "saturated") or 0.0) >= STUCK

    rows = [
        (
            fields.text(each, "name") or "the network",
            [
                fields.text(each, "kind"),
                fields.count(each, "units"),
                fields.share(each, "dead"),
                fields.share(each, "saturated"),
                fields.plain(each, "rms"),
            ],
        )
        for each in sorted(found, key=worst, reverse=True)
    ]
    if not rows:
        return Block("")
    many = sum(map(listed, found))
    head = ["activation", "kind", "units", "dead", "saturated", "rms"]
    return Block(
        "Dead units and stuck gates",
        f"{many} of {len(found)} activations have {DULL:.0%} dead units or more, or {STUCK:.0%} of their outputs at an "
        "end.",
        tables=[Grid(head, rows[: min(many, MOST_ROWS)])] if many else [],
        more=[(f"All {len(rows)}", Grid(head, rows))] if len(rows) > min(many, MOST_ROWS) else [],
        note="Dead: gives the same whatever it is given. Saturated: a gate's outputs within 1% of its range of an end, "
        "where it passes no gradient.",
    )


def _scales(found: Sequence[Mapping[str, Any]]) -> Block:
    layers = list(range(1, len(found) + 1))
    signal, gradient = ([_or_nan(each, name) for each in found] for name in ("signal", "gradient"))
    drawn = lines(
        layers, {"signal": signal, "gradient": gradient}, "layer, in the order of calls", "scales", log=True, size=WIDE
    )
    rows = [
        (fields.text(each, "name"), [fields.plain(each, name) for name in ("rms", "signal", "gradient")])
        for each in found
    ]
    return Block(
        "Scale of signals and gradients",
        "One forward and backward pass. Sound networks stay within a few powers of ten from the first layer to the "
        "last.",
        [drawn] if drawn else [],
        more=[("By layer", Grid(["layer", "rms", "signal", "gradient"], rows))] if rows else [],
        note="Signal: deviation of a layer's outputs about each channel's mean. Gradient: norm of the loss's gradient "
        "with respect to them.",
    )


def _or_nan(each: Mapping[str, Any], name: str) -> float:
    value = fields.number(each, name)
    return float("nan") if value is None else value


def _unused(found: Sequence[Mapping[str, Any]]) -> Block:
    listed = [
        (count / channels, each)
        for each in found
        if (count := fields.number(each, "unused")) and (channels := fields.number(each, "channels"))
    ]
    listed.sort(key=lambda pair: -pair[0])
    rows = [
        (
            fields.text(each, "name") or "the network",
            [
                *(fields.count(each, name) for name in ("channels", "unused")),
                fields.share(part),
                *(fields.count(each, name) for name in ("weightless", "still")),
            ],
        )
        for part, each in listed
    ]
    head = ["layer", "channels", "unused", "share", "without weights", "without variance"]
    tables, more = cut(head, rows, MOST_ROWS)
    said = f"{len(rows)} of {len(found)} layers have channels that come to nothing."
    return Block("Channels without use", said, tables=tables, more=more)


def _timing(found: Mapping[str, Any]) -> Block:
    layers = [
        (ms, each) for each in fields.rows(found, "layers") if (ms := fields.number(each, "exclusive_ms")) is not None
    ]
    layers.sort(key=lambda pair: -pair[0])
    if not layers:
        return Block("")
    whole = sum(ms for ms, _ in layers) or 1.0

    def row(name: str, ms: float) -> Bar:
        return Bar(name, ms, None, f"{ms:.2f} ms, {fields.share(ms / whole)}")

    rows = [row(fields.text(each, "name") or "the network itself", ms) for ms, each in layers[:MOST_LAYERS]]
    rest = [ms for ms, _ in layers[MOST_LAYERS:]]
    others = (
        f"The {len(rest)} other modules take {sum(rest):.2f} ms, {fields.share(sum(rest) / whole)}. " if rest else ""
    )
    grid = [
        (
            fields.text(each, "name") or "the network itself",
            [fields.text(each, "kind"), f"{ms:.3f}", fields.count(each, "calls")],
        )
        for ms, each in layers
    ]
    return Block(
        "Where the time goes",
        f"One image takes {numerals.milliseconds(fields.number(found, 'plain_ms'))} ms in the median, "
        f"{numerals.milliseconds(fields.number(found, 'whole_ms'))} ms where every module is timed. A module's time is "
        "what it spends itself, without those inside it.",
        [bars(rows, "ms of a pass", "timing", "Time of each module", PALETTE[0], GUTTER_OF_LAYERS)],
        note=others + _busy(found),
        more=[("By module", Grid(["module", "kind", "ms", "calls"], grid))],
    )


def _busy(found: Mapping[str, Any]) -> str:
    """Whether the plain pass was so much slower than its parts that it cannot have had the machine to itself."""
    plain, whole = fields.number(found, "plain_ms") or 0.0, fields.number(found, "whole_ms") or 0.0
    return "The machine was busy: the whole is uncertain, the order is not." if whole < BUSY * plain else ""
