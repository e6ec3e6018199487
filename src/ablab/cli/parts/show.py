"""`ablab parts show NAME`: one part in full, and a picture of what it does."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Json, Plugins, answering, display
from ablab.cli.parts.listing import milliseconds, this_machine
from ablab.errors import ConfigError, ContractError

if TYPE_CHECKING:
    from ablab.catalogue import Card, Cost
    from ablab.registry import Entry


def show(
    name: Annotated[str, typer.Argument(help="A part: cbam, attention/cbam or package.module:Object.")],
    slot: Annotated[str | None, typer.Option("--slot", help="The slot, where the name alone does not say.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The picture to write; NAME.png by default.")] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Draw what a part does, and print all there is to know of it: formula, arguments, paper, cost.

    Examples:

        ablab parts show cbam

        ablab parts show box_loss/giou --out giou.png

        ablab parts show torch.nn:CELU --slot activation

    The picture goes to NAME.png, unless --out names another file.
    """
    with answering(json) as answer:
        from ablab import registry

        registry.load_plugins([*(plugin or [])])
        if ":" in name and slot is None:
            raise ConfigError(f"which slot is {name} for? --slot {', '.join(registry.SLOTS)}")
        entry = registry.get(name, slot)
        if not callable(entry.build):
            raise ConfigError(f"{name} is no class and no function that makes a part")
        from ablab.catalogue import SIZES, WORK, amount_of, card, costs
        from ablab.engine.events import working
        from ablab.records import write_bytes

        told = card(entry)
        with display() as shown:
            with working(shown, f"draw {entry.name}", 1):
                drawn = _picture(entry, told)
            with working(shown, "measure", 3):
                measured = {}
                for number, size in enumerate(SIZES[entry.slot][1:]):
                    measured[amount_of(entry.slot, size)] = costs([entry], size)[entry.name]
                    shown.advance(number + 1, {})
        path = out or Path(f"{entry.name.rpartition(':')[2]}.png")
        write_bytes(path, drawn)
        costs_told = [{"measured": f"{WORK[entry.slot][0]}, {on}"} | asdict(cost) for on, cost in measured.items()]
        document = asdict(told) | {"costs": costs_told, "machine": this_machine(), "picture": path}
        answer(document, _page(told, measured, path))


def _picture(entry: Entry, told: Card) -> bytes:
    """The picture. Raises ContractError for a part that does not run, and says who says more."""
    from ablab.catalogue.pictures import picture

    try:
        return picture(entry, told)
    except Exception as error:
        name = f"--part {entry.name} --slot {entry.slot}" if ":" in entry.name else "FILE"
        raise ContractError(
            f"{entry.name} cannot be drawn: {type(error).__name__}: {error}; `ablab check {name}` says more"
        ) from error


def _page(told: Card, measured: dict[str, Cost], path: Path) -> list[Any]:
    from rich.padding import Padding
    from rich.text import Text

    name = told.name if ":" in told.name else f"{told.slot}/{told.name}"
    lines: list[Any] = [Text(name, "bold"), Padding(Text(_flowing(told.text) or "(no docstring)"), (1, 0, 0, 2)), ""]
    if told.paper:
        lines.append(Text.assemble(("paper    ", "dim"), (told.paper, f"link {told.paper}")))
    if told.use:
        lines.append(Text.assemble(("use      ", "dim"), told.use))
    lines += [Text.assemble(("trait    ", "dim"), trait) for trait in told.traits]
    lines += [
        "",
        *_arguments(told),
        _costs(told.slot, measured),
        f"[dim]ms: the median; {', '.join(this_machine().values())}[/]",
        "",
    ]
    return [*lines, Text.assemble(("picture  ", "dim"), str(path))]


def _flowing(text: str) -> str:
    """Paragraphs as one line each, which the terminal breaks; what is indented, a picture or a list, stays."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        each if "\n " in each or each.startswith(" ") else each.replace("\n", " ") for each in paragraphs
    )


def _arguments(told: Card) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    if not told.arguments:
        return [Text("takes no arguments", "dim"), ""]
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    for column in ("argument", "default", "also", "filled in"):
        table.add_column(column)
    for each in told.arguments:
        host = Text(f"by the host: {each.host}" if each.host else "", "dim")
        table.add_row(Text(each.name), Text(each.default or ""), Text(", ".join(each.others)), host)
    return [table, ""]


def _costs(slot: str, measured: dict[str, Cost]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from ablab.catalogue import WORK
    from ablab.reports.numerals import amount

    counted = any(cost.parameters is not None for cost in measured.values())
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=False)
    table.add_column(WORK[slot][0])
    for column in ("param.", "FLOPs", "ms", "IQR") if counted else ("ms", "IQR"):
        table.add_column(column, justify="right", no_wrap=True)
    for where, cost in measured.items():
        counts = [amount(cost.parameters), amount(cost.flops)] if counted else []
        times = ("fails", "") if cost.failed else (milliseconds(cost.ms), milliseconds(cost.iqr_ms))
        table.add_row(Text(where), *counts, *times)
    return table
