"""`ablab check FILE`: run the contract of its slot on every part in a plug-in file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering
from ablab.errors import ConfigError


def check(
    file: Annotated[Path, typer.Argument(help="A Python file that registers parts.")], json: Json = False
) -> None:
    """Hold every part that a file registers to the contract of its slot."""
    with answering(json) as answer:
        from ablab import registry, testing

        before = {(slot, name) for slot in registry.SLOTS for name in registry.names(slot)}
        registry.load_plugins([file])
        added = sorted({(slot, name) for slot in registry.SLOTS for name in registry.names(slot)} - before)
        if not added:
            raise ConfigError(f"{file} registers no part; write @register('activation', 'name') above a class")
        failures = {}
        for slot, name in added:
            try:
                testing.check_part(slot, name)
            except AssertionError as error:
                failures[f"{slot}/{name}"] = str(error)
        answer(
            {"parts": [f"{slot}/{name}" for slot, name in added], "failures": failures},
            [f"{s}/{n}: {failures.get(f'{s}/{n}', 'keeps its contract')}" for s, n in added],
        )
        if failures:
            raise typer.Exit(1)
