"""The catalogue as a page of the docs: `python -m ablab.catalogue.page > docs/parts.md`."""

from __future__ import annotations

from collections.abc import Iterator

from ablab import registry
from ablab.catalogue.card import USES, Card, card

HEAD = """# Parts

What can be swapped in by name, a table a slot. Written by `make docs`; a test holds it against the registry. What a
part costs on your machine, and the rest of what is known of it: `ablab parts SLOT`, `ablab parts show NAME`.
"""


def as_markdown() -> str:
    """One table a slot: the part, one line, its paper; above it how a change names such a part."""
    return "\n".join([HEAD, *(line for slot in registry.SLOTS for line in _table(slot))])


def _table(slot: str) -> Iterator[str]:
    yield f"## {slot}\n"
    yield f"`{USES[slot].format('NAME')}`\n"
    yield "| part | what it does | paper |"
    yield "|---|---|---|"
    yield from (_row(card(registry.get(name, slot))) for name in registry.names(slot))
    yield ""


def _row(part: Card) -> str:
    """One line; a bar would end the cell."""
    line = part.line.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
    paper = part.paper.removeprefix("https://").removesuffix("/")
    return f"| {part.name} | {line} | {f'[{paper}]({part.paper})' if part.paper else ''} |"


if __name__ == "__main__":
    print(as_markdown(), end="")
