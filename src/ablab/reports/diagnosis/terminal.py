"""A diagnosis in a terminal: scores, findings and proposals, and where the page is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ablab.reports import numerals
from ablab.reports.diagnosis import advice, fields
from ablab.reports.diagnosis.page import SOUND, gravity, scores, texts

COLOURS = {"grave": "red", "matters": "yellow", "slight": "cyan"}
BLOCKS = 8  # of a severity bar


def as_tables(document: Mapping[str, Any], page: str = "") -> list[RenderableType]:
    """What `ablab diagnose` prints; `page` is where the page was written."""
    name, split = fields.text(document, "name"), fields.text(document, "split")
    seed = fields.number(document, "seed")
    title = f"{name or 'run'}{'' if seed is None else f', seed {seed:g}'}{f', on {split}' if split else ''}"
    figures = " · ".join(f"{metric} {score}" for metric, score in scores(document))
    lines: list[RenderableType] = [Text(title, style="bold"), *([Text(figures)] if figures else [])]
    lines += [_findings(document) if fields.rows(document, "findings") else Text(SOUND, style="green")]
    lines += [Text(said) for said in _operating(document)]
    if fields.rows(document, "proposals"):
        lines.append(_proposals(document))
    lines += [Text(note, style="dim") for note in _notes(document)]
    return [*lines, *([Text(f"page: {page}", style="bold")] if page else [])]


def _operating(document: Mapping[str, Any]) -> list[str]:
    """A line for each operating point that was asked for."""
    lines = []
    for goal in fields.rows(document, "chapters", "errors", "numbers", "operating"):
        point = fields.table(goal, "point")
        if fields.number(point, "threshold") is not None:
            figures = [numerals.score(fields.number(point, name)) for name in ("threshold", "recall", "precision")]
            lines.append(
                f"{fields.text(goal, 'goal')} {fields.plain(goal, 'value')}: at threshold {figures[0]} recall is "
                f"{figures[1]}, precision {figures[2]}, {fields.plain(point, 'false_positives_per_image')} wrong boxes "
                "an image"
            )
    return lines


def _notes(document: Mapping[str, Any]) -> list[str]:
    chapters = fields.table(document, "chapters")
    return [*texts(document, "notes"), *(note for name in chapters for note in texts(chapters, name, "notes"))]


def _findings(document: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("severity", no_wrap=True)
    table.add_column("in", no_wrap=True, style="dim")
    table.add_column("finding", overflow="fold")
    for found in fields.rows(document, "findings"):
        said = Text(fields.text(found, "fault"), style="bold").append(f"\n{fields.text(found, 'sentence')}", "not bold")
        table.add_row(_bar(fields.number(found, "severity") or 0.0), Text(fields.text(found, "chapter")), said)
    return table


def _bar(severity: float) -> Text:
    full = round(BLOCKS * min(max(severity, 0.0), 1.0))
    text = Text("█" * full, style=COLOURS[gravity(severity)])
    return text.append("░" * (BLOCKS - full), "dim").append(f" {severity:.2f}", "default")


def _proposals(document: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("try next", style="bold", overflow="fold", max_width=24)
    table.add_column("gain", max_width=14)
    table.add_column("cost", max_width=18)
    table.add_column("what and why", overflow="fold")
    sentences = [fields.text(each, "sentence") for each in fields.rows(document, "findings")]
    for found in fields.rows(document, "proposals"):
        changed = ", ".join(f"{path}: {value}" for path, value in fields.table(found, "set").items())
        edits = [fields.text(edit, "op") for edit in fields.rows(found, "edits")]
        what = Text("; ".join(filter(None, [changed, ", ".join(edits), fields.text(found, "todo")])))
        what.append(f"\n{_why(found, sentences)}", "dim")
        table.add_row(Text(fields.text(found, "name")), advice.gain(found), advice.cost(found), what)
    return table


def _why(proposal: Mapping[str, Any], sentences: Sequence[str]) -> str:
    """The reason, less what stands above as a finding already; then which finding it answers."""
    why = fields.text(proposal, "because")
    for sentence in sentences:
        why = why.replace(sentence, "").strip() if sentence else why
    return f"{why} (for {', '.join(texts(proposal, 'faults'))})".strip()
