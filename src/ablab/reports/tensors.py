"""Tables of a file's tensors for a terminal, and of what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

COLOURS = {"loaded": "green", "other shape": "yellow", "not in the network": "red", "not in the file": "dim"}


def tensor_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Tensors of a file, one row each: `name`, `shape`, `dtype`, `numbers`, and whether all are `finite`."""
    table = _table("tensor", "shape", "type", "numbers")
    for row in rows:
        numbers = f"{row['numbers']:,}" + ("" if row["finite"] else " (NaN or inf)")
        table.add_row(Text(row["name"]), _shape(row["shape"]), Text(row["dtype"]), Text(numbers))
    return table


def fate_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What becomes of each tensor: `name` in the file, `target` in the network, `shape`, `expected`, `fate`."""
    table = _table("in the file", "in the network", "fate", "shape", "expected")
    for row in rows:
        table.add_row(
            Text(row["name"] or "-"),
            Text("the same" if row["name"] == row["target"] else row["target"] or "-"),
            Text(row["fate"], COLOURS.get(row["fate"], "")),
            _shape(row["shape"]),
            Text("") if row["shape"] == row["expected"] else _shape(row["expected"]),
        )
    return table


def _shape(shape: Sequence[int] | None) -> Text:
    return Text("-" if shape is None else "x".join(map(str, shape)) or "one number")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in names:
        table.add_column(name, justify="right" if name == "numbers" else "left", overflow="fold")
    return table
