"""How every verb answers: a table for people or one JSON document for scripts, and an exit code.

    0  done        1  it failed        2  the user's mistake

With --json standard output holds one document and nothing else; progress and messages go to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.errors import AblabError, ConfigError

if TYPE_CHECKING:
    from ablab.engine.events import Display

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting by its dotted path; may be repeated."),
]
Folder = Annotated[Path | None, typer.Option("--folder", help="Where results go.", file_okay=False)]
Data = Annotated[Path | None, typer.Option("--data", help="The data set to use instead of the one that is named.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A Python file with parts of your own.")]

Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        metavar="NAME[=WHERE]",
        help="Mirror the records in tensorboard[=FOLDER], mlflow=URI or wandb[=online]; may be repeated.",
    ),
]

Answer = Callable[[Any, Any], None]


@contextmanager
def answering(json: bool) -> Iterator[Answer]:
    """Give `answer(document, *renderables)`; turn ablab's errors into a line and an exit code."""

    def answer(document: Any, shown: Any) -> None:
        if json:
            _print_json(document)
            return
        from rich.console import Console

        console = Console()
        for each in shown if isinstance(shown, list | tuple) else [shown]:
            console.print(each)

    try:
        yield answer
    except AblabError as error:
        _fail(json, str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(json, "interrupted; what was finished is kept, and the same command goes on from there", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _fail(json, f"{error.strerror or error}{where}; what was finished before is kept", 1)


def _fail(json: bool, message: str, code: int) -> None:
    if json:
        _print_json({"error": message, "exit_code": code})
    typer.secho("error: ", fg="red", err=True, nl=False)
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _print_json(document: Any) -> None:
    import json

    from ablab.records import plain_json

    typer.echo(json.dumps(plain_json(document), ensure_ascii=False, indent=1, allow_nan=False))


@contextmanager
def display() -> Iterator[Display]:
    """Progress bars on a terminal, plain lines elsewhere; always on standard error."""
    from ablab.engine.events import shown

    with shown() as made:
        yield made


def settings(pairs: list[str] | None, data: Path | None = None, prefix: str = "") -> dict[str, Any]:
    """`KEY=VALUE` pairs as {dotted path: value}; values are read as YAML."""
    from ablab.config import parse_yaml

    made: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set wants KEY=VALUE, got '{pair}'")
        made[key] = parse_yaml(f"value: {value}", f"--set {key}")["value"]
    if data is not None:
        made[f"{prefix}data.path"] = str(data.resolve()) if data.exists() else str(data)
    return made
