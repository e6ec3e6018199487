"""The verdict table for a terminal.

console.print(Summary(view))      the table, fitted to the console, and the lines under it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ablab.reports import numerals, sentences
from ablab.reports.sheets import COSTS
from ablab.reports.view import Arm, View, mean

COLOURS = {"helps": "bold green", "hurts": "bold red", "equivalent": "cyan", "undecided": "yellow"}
OTHERS = 64  # columns that all but the arms' names take
WIDE = 116  # columns from which effect and interval stand on one line and every cost has a column


@dataclass(frozen=True)
class Summary:
    """Title, verdict table and notes, as wide as the console allows."""

    view: View

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(sentences.overview(self.view), style="bold")
        yield verdict_table(self.view, options.max_width)
        if self.view.effects:
            yield arm_table(self.view, options.max_width)
        for note in sentences.notes(self.view):
            yield Padding(Text(note, style="dim" if not note.startswith("warning") else "yellow"), (0, 0, 0, 1))


def verdict_table(view: View, width: int = 80) -> Table:
    """One row an arm: verdict, effect with simultaneous interval, p (Holm), mean score, cost where any is known.

    Of a factorial one row a main effect, which has neither score nor cost. Fits 80 columns, where it stacks what is
    side by side from 116 columns on.
    """
    wide = width >= WIDE
    table = _table("main effect" if view.effects else "arm", width)
    table.add_column("verdict", no_wrap=True)
    table.add_column(f"effect on {view.metric}" if wide else f"effect on\n{view.metric}", min_width=16)
    table.add_column(f"p ({view.correction})" if wide else f"p\n{view.correction}", justify="right", no_wrap=True)
    if not view.effects:
        _add_figures(table, view, wide)
    for arm in view.questions if view.effects else view.arms:
        p = numerals.p_value(arm.verdict.p_adjusted).replace("< ", "<") if arm.verdict else ""
        figures = () if view.effects else _figures(view, arm, wide)
        table.add_row(Text(arm.name), _decision(arm), _effect(view, arm, wide), p, *figures)
    return table


def arm_table(view: View, width: int = 80) -> Table:
    """One row an arm of a factorial: its mean score, and its cost where any is known."""
    wide = width >= WIDE
    table = _table("arm", width)
    _add_figures(table, view, wide)
    for arm in view.arms:
        table.add_row(Text(arm.name), *_figures(view, arm, wide))
    return table


def _table(head: str, width: int) -> Table:
    """A table with its first column, in which a long name is folded before another column would be cut."""
    wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1) if wide else (0, 1, 0, 0))
    table.add_column(head, overflow="fold", style="bold", max_width=None if wide else max(8, width - OTHERS))
    return table


def _costed(view: View) -> bool:
    return any(arm.cost(name) is not None for arm in view.arms for name in COSTS)


def _add_figures(table: Table, view: View, wide: bool) -> None:
    """The columns of score and cost."""
    costs: tuple[str, ...] = ("parameters", "FLOPs", "latency", "training") if wide else ("param.\nFLOPs", "ms\ntrain")
    for name in (view.metric, *(costs if _costed(view) else ())):
        table.add_column(name, justify="right", no_wrap=True)


def _figures(view: View, arm: Arm, wide: bool) -> list[str]:
    score = numerals.score(mean(list(view.judged_scores(arm).values())))
    return [score, *(_costs(arm, wide) if _costed(view) else ())]


def _decision(arm: Arm) -> Text:
    if arm.verdict is None:
        return Text("(baseline)" if arm.kind == "baseline" else numerals.NOTHING, style="dim")
    return Text(arm.verdict.verdict, style=COLOURS[arm.verdict.verdict])


def _effect(view: View, arm: Arm, wide: bool) -> Text:
    """Effect, interval and what qualifies the verdict."""
    verdict = arm.verdict
    if verdict is None:
        return Text("")
    text = Text(numerals.signed(verdict.effect))
    interval = numerals.interval(verdict.simultaneous)
    if interval != numerals.NOTHING:
        text.append(f"{' ' if wide else chr(10)}{interval}")
    other = "" if view.effects else sentences.against(view, arm)
    for qualifier in [*([f"against {other}"] if other else []), *sentences.qualifiers(view, verdict)]:
        text.append(f"\n{qualifier}", style="dim")
    return text


def _costs(arm: Arm, wide: bool) -> list[str]:
    parameters, flops = numerals.amount(arm.cost("parameters")), numerals.amount(arm.cost("flops"))
    latency, seconds = numerals.milliseconds(arm.cost("latency_ms")), numerals.duration(arm.cost("train_seconds"))
    if wide:
        return [parameters, flops, latency if latency == numerals.NOTHING else f"{latency} ms", seconds]
    seconds = seconds.replace(" min ", "m").replace(" h ", "h").replace(" s", "s").removesuffix(" min")
    return [f"{parameters}\n{flops}", f"{latency}\n{seconds}"]
