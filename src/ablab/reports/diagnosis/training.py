"""The chapter "training": the loss and its terms, what was followed, the learning rate, and luck against arms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports.canvas import PALETTE, Drawing, styled, svg
from ablab.reports.diagnosis import fields
from ablab.reports.diagnosis.bars import Bar, bars
from ablab.reports.diagnosis.block import Block
from ablab.reports.diagnosis.lines import WIDE, lines
from ablab.reports.grids import Grid
from ablab.reports.rates import rate_figure

# What `engine` writes into curves.csv beside the loss and its terms.
KEPT = ("epoch", "lr", "loss", "gradient norm", "seconds", "images_per_second", "waiting")
MOST_METRICS = 6


def blocks(numbers: Mapping[str, Any]) -> list[Block]:
    """The chapter's blocks; a reading that is missing has none."""
    history = {str(name): fields.numbers(column) for name, column in fields.table(numbers, "history").items()}
    return [
        _curves(history),
        _course(fields.table(numbers, "readings", "curves")),
        _range(fields.table(numbers, "range"), fields.number(numbers, "rate")),
        _trial(fields.table(numbers, "trial")),
        _seeds(fields.table(numbers, "readings", "seeds"), fields.text(numbers, "metric") or "the metric"),
    ]


def _curves(history: Mapping[str, list[float]]) -> Block:
    """A panel each of the loss and its terms, the metrics, the rate, the gradient and the waiting."""
    length = max(map(len, history.values()), default=0)
    epochs = history.get("epoch") or [float(epoch) for epoch in range(1, length + 1)]
    followed = [name for name in history if "/" in name]
    terms = {name: history[name] for name in history if name not in KEPT and name not in followed}
    panels: list[tuple[str, Mapping[str, list[float]]]] = [
        ("loss and its terms", {"loss": history.get("loss", []), **terms}),
        *((name, {name.rpartition("/")[2]: history[name]}) for name in followed[:MOST_METRICS]),
        ("learning rate", {"lr": history.get("lr", [])}),
        ("gradient norm", {"gradient norm": history.get("gradient norm", [])}),
        ("share of time waiting for data", {"waiting": history.get("waiting", [])}),
    ]
    drawn = [
        lines(epochs, columns, "epoch", f"history-{number}", title=title)
        for number, (title, columns) in enumerate(panels)
    ]
    rows = [
        (f"{epoch:g}", [fields.plain(column[row]) if row < len(column) else "" for column in history.values()])
        for row, epoch in enumerate(epochs)
        if math.isfinite(epoch)
    ]
    return Block(
        "By epoch",
        drawings=[drawing for drawing in drawn if drawing],
        more=[("Numbers", Grid(["epoch", *history], rows))] if rows else [],
    )


def _course(found: Mapping[str, Any]) -> Block:
    """Where the loss and the metric began and ended, and what share of the loss each term has."""
    names = {"loss": "loss", "metric": fields.text(found, "name") or "metric"}
    courses = [
        (
            said,
            [fields.plain(found, name, key) for key in ("first", "best", "best_epoch", "last", "lost")],
        )
        for name, said in names.items()
        if fields.table(found, name)
    ]
    shares = fields.table(found, "shares")
    terms = [(str(term), [fields.share(shares, term, place) for place in range(3)]) for term in shares]
    said = {"rise": "rise of the loss above its least", "clipped": "epochs clipped", "waiting": "time waiting for data"}
    others = [(said[name], [fields.share(found, name)]) for name in said if fields.number(found, name) is not None]
    tables = [
        Grid(["", "first", "best", "in epoch", "last", "lost since the best"], courses),
        Grid(["share of the loss", "least", "median", "largest"], terms),
        Grid(["over all epochs", "share"], others),
    ]
    return Block("What the curves say", tables=[table for table in tables if table.rows])


def _range(found: Mapping[str, Any], rate: float | None) -> Block:
    """The range test: the loss under a growing rate, and the rates that follow from it."""
    rates, losses, smoothed = (fields.numbers(found, name) for name in ("rates", "losses", "smoothed"))
    known = [row for row in zip(rates, losses, smoothed, strict=False) if all(map(math.isfinite, row)) and row[0] > 0]
    if len(known) < 2:
        return Block("")
    marks = {name: fields.number(found, name) for name in ("steepest", "largest", "broke")} | {"recipe": rate}
    return Block(
        "How large a learning rate it bears",
        " ".join(f"{text[:1].upper()}{text[1:]}." for text in fields.items(found, "reasons") if isinstance(text, str)),
        [_rates(known, {name: at for name, at in marks.items() if at is not None and at > 0})],
        note="A short training whose rate grows at every step. Dots: the loss of a step; line: smoothed. Dashed: the "
        "recipe's rate and what the test says.",
    )


def _rates(known: Sequence[tuple[float, ...]], marks: Mapping[str, float]) -> Drawing:
    rates, losses, smoothed = (list(column) for column in zip(*known, strict=True))
    with styled():
        figure = rate_figure(rates, losses, smoothed, marks, WIDE)
        said = "; ".join(f"{name} {rate:.2g}" for name, rate in marks.items())
        return Drawing(svg(figure, "range"), f"Loss against the learning rate: {said}")


def _trial(found: Mapping[str, Any]) -> Block:
    """The recipe's rate against a tenth of it, from one start on the same batches."""
    losses, lower = (fields.numbers(found, name) for name in ("losses", "lower_losses"))
    names = [fields.plain(found, name) for name in ("rate", "lower")]
    steps = list(range(1, max(len(losses), len(lower)) + 1))
    drawn = lines(steps, {f"at {names[0]}": losses, f"at {names[1]}": lower}, "step", "trial", size=WIDE)
    share = fields.number(found, "share")
    ends = "" if share is None else f" At {names[0]} it learned {share:.2g} times as much as at {names[1]}."
    broke = " Its loss broke away." if fields.inside(found, "broke") is True else ""
    return Block(
        "The rate against a tenth of it",
        f"Two short trainings from one start on the same batches, at {names[0]} as in the recipe and at {names[1]}."
        f"{ends}{broke}",
        [drawn] if drawn else [],
        note="A sound rate leaves the tenth far behind in so few steps.",
    )


def _seeds(found: Mapping[str, Any], metric: str) -> Block:
    """What differs more: the arms of the study or the seeds of an arm."""
    kinds = {
        "of_arms": "between arms",
        "of_seeds": "seeds, arms alike",
        "of_rest": "seeds, each its own",
    }
    known = [(said, value) for name, said in kinds.items() if (value := fields.number(found, name)) is not None]
    rows = [Bar(said, value, None, f"{value:.3g}", said != "between arms") for said, value in known]
    return Block(
        "Luck against arms",
        f"Over {fields.count(found, 'arms')} arms and {fields.count(found, 'seeds')} seeds of the study. Pairing takes "
        "out what a seed does to all arms alike. No difference between arms has "
        f"p {fields.plain(found, 'p')} (F test).",
        [bars(rows, f"standard deviation, points of {metric}", "seeds", "Spread of scores", PALETTE[0])]
        if rows
        else [],
    )
