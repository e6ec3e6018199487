"""`ablab parts`: the catalogue. `ablab parts [SLOT]` lists, `ablab parts show NAME` draws one. One file a verb."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ablab.cli.parts import listing, show


class _Listing(TyperGroup):
    """`ablab parts attention` is short for `ablab parts list attention`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Listing, no_args_is_help=False)
app.command("list")(listing.list_parts)
app.command("show")(show.show)


@app.callback()
def _root() -> None:
    """What can be swapped in, and what each part costs and does.

    Examples:

        ablab parts                  every slot; short for: ablab parts list

        ablab parts attention        one slot

        ablab parts show cbam        one part, drawn into cbam.png

    What is listed can be swapped in by its name, by a change of a study or from Python.
    """
