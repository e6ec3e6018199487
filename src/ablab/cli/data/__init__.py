"""`ablab data VERB`: look at data sets, and bring them into shape. One file a verb."""

from __future__ import annotations

import typer

from ablab.cli.data import check, convert, get, show, split

app = typer.Typer(help="Look at data sets, and bring them into shape.", no_args_is_help=True)
app.command("check")(check.check)
app.command("show")(show.show)
app.command("get")(get.get)
app.command("convert")(convert.convert)
app.command("split")(split.split)


@app.callback()
def _root() -> None:
    """Look at data sets, and bring them into shape."""
