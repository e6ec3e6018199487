"""`ablab parts [SLOT]`: what there is, one line each, with its paper and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Json, Plugins, answering, display

if TYPE_CHECKING:
    from ablab.catalogue import Card, Cost

WIDE = 110  # columns of a terminal from which on the paper stands in a column of its own
SOURCES = {"https://arxiv.org/abs/": "arXiv ", "https://doi.org/": "doi ", "https://": ""}


def list_parts(
    slot: Annotated[str | None, typer.Argument(help="One slot only, such as activation.")] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List the parts of every slot, or of one: a line each, its paper, parameters, FLOPs and milliseconds.

    Examples:

        ablab parts

        ablab parts attention

        ablab parts activation --plugin my_parts.py --json

    Milliseconds are of this machine, medians of rounds in which the parts of a slot take turns.
    """
    with answering(json) as answer:
        from ablab import registry

        registry.load_plugins([*(plugin or [])])
        found = {name: registry.names(name) for name in ([slot] if slot else registry.SLOTS)}
        from ablab.catalogue import SIZES, WORK, amount_of, card, costs
        from ablab.engine.events import Silent, working

        slots: dict[str, Any] = {}
        with (
            display() if len(found) > 1 else nullcontext(Silent()) as shown,  # one slot takes a second at most
            working(shown, "measure", sum(map(len, found.values()))),
        ):
            done = 0
            for name, parts in found.items():
                entries = [registry.get(part, name) for part in parts]
                measured = costs(entries)
                done += len(parts)
                shown.advance(done, {})
                workload = f"{WORK[name][0]}, {amount_of(name, SIZES[name][0])}"
                slots[name] = (workload, [card(entry) for entry in entries], measured)
        machine = this_machine()
        answer(
            _document(slots, machine),
            [
                *_tables(slots),
                f"[dim]ms: the median, the parts of a slot taking turns; {', '.join(machine.values())}[/]",
            ],
        )


def this_machine() -> dict[str, str]:
    """What milliseconds are taken on, in words."""
    import platform

    import torch

    from ablab.engine.precision import processor

    threads = torch.get_num_threads()
    return {
        "device": processor(),
        "threads": f"{threads} thread{'s' if threads > 1 else ''}",
        "torch": f"torch {torch.__version__} on {platform.system()}",
    }


def _document(slots: Mapping[str, Any], machine: Mapping[str, str]) -> dict[str, Any]:
    return {
        "machine": machine,
        "slots": {
            slot: {"measured": work, "parts": [asdict(each) | {"cost": asdict(measured[each.name])} for each in cards]}
            for slot, (work, cards, measured) in slots.items()
        },
    }


def _tables(slots: Mapping[str, Any]) -> Iterator[Any]:
    from rich.console import Console
    from rich.text import Text

    wide = Console().width >= WIDE
    for slot, (workload, cards, measured) in slots.items():
        yield Text.assemble((slot, "bold"), (f"  {workload}", "dim"))
        yield _table(cards, measured, wide)
        yield ""


def _table(cards: Sequence[Card], measured: Mapping[str, Cost], wide: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    from ablab.reports.numerals import amount

    counted = any(cost.parameters is not None for cost in measured.values())
    table = Table(box=None, padding=(0, 1), expand=True, header_style="dim", pad_edge=False)
    table.add_column("part", no_wrap=True)
    table.add_column("", ratio=1)
    if wide:
        table.add_column("paper", no_wrap=True, max_width=32, overflow="ellipsis")
    for name in ("param.", "FLOPs", "ms") if counted else ("ms",):
        table.add_column(name, justify="right", no_wrap=True)
    for card in cards:
        cost, paper = measured[card.name], cited(card.paper)
        line = Text(card.line or "(says nothing of itself: give it a docstring)")
        cells = [Text(card.name, "bold"), *([line, paper] if wide else [Text.assemble(line, "  ", paper)])]
        if counted:
            cells += [Text(amount(cost.parameters)), Text(amount(cost.flops))]
        table.add_row(*cells, Text("fails", "red") if cost.failed else Text(milliseconds(cost.ms)))
    return table


def cited(paper: str) -> Any:
    """A paper as short as it can be found by: `arXiv 1910.03151`, with a link where the terminal has links."""
    from rich.text import Text

    start = next((start for start in SOURCES if paper.startswith(start)), "")
    return Text(SOURCES.get(start, "") + paper.removeprefix(start), f"dim link {paper}" if paper else "")


def milliseconds(ms: float | None) -> str:
    """Two digits behind the point where that says something: `0.13`, `14.4`."""
    from ablab.reports.numerals import NOTHING

    return NOTHING if ms is None else f"{ms:.{2 if ms < 10 else 1 if ms < 100 else 0}f}"
