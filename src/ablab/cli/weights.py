"""`ablab weights FILE`: what a file of weights holds, and what of it a recipe's network would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Data, Json, Plugins, Sets, answering, settings

if TYPE_CHECKING:
    from ablab.weights import Weights

RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="A recipe or study (YAML) whose baseline network would start with it.")
]


def weights(
    file: Annotated[Path, typer.Argument(help="A safetensors or torch file, or a run's folder.")],
    recipe: RecipeFile = None,
    data: Data = None,
    set: Sets = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List the tensors of a file; with a recipe, what becomes of each. Nothing in the file is run."""
    with answering(json) as answer:
        from ablab import weights as reading
        from ablab.reports.tensors import fate_table, tensor_table

        if recipe or data or set:
            from ablab.engine.transfer import as_rows
            from ablab.study import single

            made = single.fates(file, recipe, settings(set, data), [*(plugin or [])])
            rows = as_rows(made)
            document = {"file": made.where, "share": made.share, "rename": made.hint, "rows": rows}
            answer(document, [fate_table(rows), str(made)])
            return
        found = reading.read(file)
        rows = _tensors(found)
        document = {"file": found.path, "form": found.form, "taken_off": found.taken_off, "tensors": rows}
        answer(document, [tensor_table(rows), _summary(found, rows)])


def _tensors(found: Weights) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": tuple(tensor.shape),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "numbers": tensor.numel(),
            "finite": bool(tensor.isfinite().all()),
        }
        for name, tensor in found.tensors.items()
    ]


def _summary(found: Weights, rows: list[dict[str, Any]]) -> str:
    numbers = sum(row["numbers"] for row in rows)
    size = sum(tensor.nbytes for tensor in found.tensors.values()) / 2**20
    text = f"{found.path}: {found.form}, {len(rows)} tensors, {numbers:,} numbers, {size:.1f} MB"
    return text + (f"; taken off the names: {', '.join(found.taken_off)}" if found.taken_off else "")
