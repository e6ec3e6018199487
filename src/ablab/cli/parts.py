"""`ablab parts`: what can be swapped in."""

from __future__ import annotations

from typing import Annotated

import typer

from ablab.cli.answer import Json, Plugins, answering


def parts(
    slot: Annotated[str | None, typer.Argument(help="One slot only, such as activation.")] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List the parts of every slot."""
    with answering(json) as answer:
        from ablab import registry

        registry.load_plugins([*(plugin or [])])
        table = {name: registry.names(name) for name in ([slot] if slot else sorted(registry.SLOTS))}
        answer(table, [f"[bold]{name}[/]: {', '.join(found)}" for name, found in table.items()])
