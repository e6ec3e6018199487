"""`ablab check FILE`: hold a part of your own to the promises of its slot, and say what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Json, answering
from ablab.errors import ConfigError, suggest

if TYPE_CHECKING:
    from ablab.registry import Entry
    from ablab.testing import Examination, Finding


def check(
    file: Annotated[Path | None, typer.Argument(help="A Python file that registers parts.")] = None,
    part: Annotated[
        str | None, typer.Option("--part", metavar="NAME", help="One part instead: package.module:Object, or a name.")
    ] = None,
    slot: Annotated[str | None, typer.Option("--slot", help="The slot of --part, such as activation.")] = None,
    json: Json = False,
) -> None:
    """Hold parts to the promises of their slots: what was tried, what came, what to do.

    Every part that a file registers:

        ablab check my_parts.py

    One that nobody registered, and one as JSON:

        ablab check --part my_package.my_module:TanhExp --slot activation

        ablab check --part torch.nn:CELU --slot activation --json

    Exit codes: 0 every promise is kept, 1 one is broken, 2 a mistake, such as a file that fails to import.
    """
    with answering(json) as answer:
        entries = _entries(file, part, slot)
        from ablab import testing

        examined = [testing.examine(entry) for entry in entries]
        broken = [_name(each.entry) for each in examined if not each.sound]
        answer(
            {"parts": [_document(each) for each in examined], "failures": broken},
            [line for each in examined for line in _shown(each)],
        )
        if broken:
            raise typer.Exit(1)


def _entries(file: Path | None, part: str | None, slot: str | None) -> list[Entry]:
    """The parts to examine. Raises ConfigError for a call that names none, or leaves the slot of one open."""
    from ablab import registry

    if (file is None) == (part is None):
        raise ConfigError("expected either a file of parts or --part; try: ablab check my_parts.py")
    if part is None and slot is not None:
        raise ConfigError("--slot belongs to --part; a file names the slot of each part that it registers")
    if slot is not None and slot not in registry.SLOTS:
        raise ConfigError(f"unknown slot '{slot}'{suggest(slot, registry.SLOTS)}")
    if file is not None:
        return _registered(file)
    assert part is not None
    if ":" in part and slot is None:
        raise ConfigError(f"which slot is {part} for? --slot {', '.join(registry.SLOTS)}")
    entry = registry.get(part, slot)
    if not callable(entry.build):
        raise ConfigError(f"{part} is {type(entry.build).__name__}, expected a class or a function that makes a part")
    return [entry]


def _registered(file: Path) -> list[Entry]:
    """What a file registers. Ours are there before it, so that a name that is taken is noticed."""
    from ablab import registry

    before = {(slot, name) for slot in registry.SLOTS for name in registry.names(slot)}
    registry.load_plugins([file])
    added = sorted({(slot, name) for slot in registry.SLOTS for name in registry.names(slot)} - before)
    if not added:
        module: Any = next(
            (m for m in sys.modules.values() if getattr(m, "__file__", None) == str(file.absolute())), None
        )
        found = [n for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        though = f", though it defines {', '.join(found)}" if found else ""
        name = found[0].lower() if found else "name"
        raise ConfigError(f"{file} registers no part{though}; write @register('activation', '{name}') above a class")
    return [registry.get(name, slot) for slot, name in added]


def _name(entry: Entry) -> str:
    return entry.name if ":" in entry.name else f"{entry.slot}/{entry.name}"


def _document(examined: Examination) -> dict[str, Any]:
    promises = [
        {
            "promise": each.promise,
            "kept": each.broken is None,
            "tried": each.tried,
            "came": each.broken.came if each.broken else None,
            "where": each.broken.where if each.broken else None,
            "advice": each.broken.advice if each.broken else None,
        }
        for each in examined.findings
    ]
    return {
        "slot": examined.entry.slot,
        "name": examined.entry.name,
        "kept": examined.sound,
        "hint": examined.hint,
        "promises": promises,
    }


def _shown(examined: Examination) -> list[Any]:
    """A line for the part and one for each promise; where several fail alike, the reason is told once."""
    from rich.padding import Padding
    from rich.text import Text

    kept = sum(each.broken is None for each in examined.findings)
    head = Text.assemble(
        (_name(examined.entry), "bold"), f"  keeps {kept} of {len(examined.findings)} promises of its slot"
    )
    lines: list[Any] = ["", head]
    told: dict[str, str] = {}
    for each in examined.findings:
        lines += [Padding(line, (0, 0, 0, 2)) for line in _lines(each, told)]
    if examined.hint:
        lines.append(Padding(Text.assemble(("hint  ", "bold yellow"), examined.hint), (0, 0, 0, 2)))
    return lines


def _lines(finding: Finding, told: dict[str, str]) -> list[Any]:
    """A promise that is kept in one line, cut where the terminal ends; one that is broken with all there is to say."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    broken = finding.broken
    if broken is None:
        kept = Text.assemble(("✓ ", "green"), finding.promise, (f"  {finding.tried}", "dim"))
        kept.no_wrap, kept.overflow = True, "ellipsis"
        return [kept]
    head = Text.assemble(("✗ ", "red"), (finding.promise, "bold"))
    if (cause := broken.where or broken.came) in told:
        return [head.append(f"  as '{told[cause]}'", "dim")]
    told[cause] = finding.promise
    facts = Table.grid(padding=(0, 2))
    came = f"it {broken.came}" if broken.crashed else broken.came
    for word, text in (("tried", finding.tried), ("came", came), ("at", broken.where), ("do", broken.advice)):
        if text:
            facts.add_row(Text(word, "dim"), Text(text, "red" if word == "came" else ""))
    return [head, Padding(facts, (0, 0, 0, 4))]
