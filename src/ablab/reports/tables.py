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
        for note in sentences.notes(self.view):
            yield Padding(Text(note, style="dim" if not note.startswith("warning") else "yellow"), (0, 0, 0, 1))


def verdict_table(view: View, width: int = 80) -> Table:
    """One row an arm: verdict, effect with simultaneous interval, p (Holm), mean score, cost where any is known.

    Fits 80 columns, where it stacks what is side by side from 116 columns on.
    """
    wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1) if wide else (0, 1, 0, 0))
    table.add_column("arm", overflow="fold", style="bold", max_width=None if wide else max(8, width - OTHERS))
    table.add_column("verdict", no_wrap=True)
    table.add_column(f"effect on {view.metric}" if wide else f"effect on\n{view.metric}", min_width=16)
    costs: tuple[str, ...] = ("parameters", "FLOPs", "latency", "training") if wide else ("param.\nFLOPs", "ms\ntrain")
    costs = costs if any(arm.cost(name) is not None for arm in view.arms for name in COSTS) else ()
    for name in (f"p ({view.correction})" if wide else f"p\n{view.correction}", view.metric, *costs):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in view.arms:
        score = mean(list(view.judged_scores(arm).values()))
        p = numerals.p_value(arm.verdict.p_adjusted).replace("< ", "<") if arm.verdict else ""
        table.add_row(
            Text(arm.name),
            _decision(arm),
            _effect(view, arm, wide),
            p,
            numerals.score(score),
            *(_costs(arm, wide) if costs else ()),
        )
    return table


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
    for qualifier in sentences.qualifiers(view, verdict):
        text.append(f"\n{qualifier}", style="dim")
    return text


def _costs(arm: Arm, wide: bool) -> list[str]:
    parameters, flops = numerals.amount(arm.cost("parameters")), numerals.amount(arm.cost("flops"))
    latency, seconds = numerals.milliseconds(arm.cost("latency_ms")), numerals.duration(arm.cost("train_seconds"))
    if wide:
        return [parameters, flops, latency if latency == numerals.NOTHING else f"{latency} ms", seconds]
    seconds = seconds.replace(" min ", "m").replace(" h ", "h").replace(" s", "s").removesuffix(" min")
    return [f"{parameters}\n{flops}", f"{latency}\n{seconds}"]
