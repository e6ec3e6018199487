"""What `ablab plan` says of a study's design: what it answers, what it cannot, and at which size of effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ablab.stats import MOST_SEEDS


def design_lines(plan: Mapping[str, Any]) -> list[Table | Text]:
    """Words, then the questions with the smallest effect that each can find, then two designs at equal cost."""
    found = plan["design"]
    lines: list[Table | Text] = [Text(found["title"], style="bold")]
    lines += [Text(f"it answers {answer}") for answer in found["answers"]]
    lines += [Text(f"it cannot tell {question}") for question in found["cannot"]]
    lines += [Text(alias, style="dim") for alias in found["aliases"]]
    noise = found["noise"]
    lines += [
        _questions(found, plan["metric"]),
        Text(
            f"one, all: the effect that {len(plan['seeds'])} seeds find four times in five, where one is asked, and "
            "where all of its kind are. seeds for: how many find an effect of that size, where all are asked. "
            + (f"sd(d) = {noise['sd']:.3g} {plan['metric']}, from {noise['source']}" if noise else "sd(d) is not known")
            + ": the sd over seeds of a difference of two arms, taken to be the same for any two"
        ),
    ]
    if found["equal_cost"]:
        lines += [
            _equal_cost(found),
            Text(
                "error: the standard error of a change's effect; all: as above. A factorial's effect is an average "
                "over the other changes, and its t has as few degrees of freedom as there are seeds"
            ),
        ]
    return lines


def _questions(found: Mapping[str, Any], metric: str) -> Table:
    noise = found["noise"]
    factor, unit = (noise["sd"], metric) if noise else (1.0, "sd(d)")
    sizes = [f"{row['ratio'] * factor:g}" for row in found["questions"][0]["seeds"]]
    table = _table("question", "asked", f"one, {unit}", f"all, {unit}", f"seeds for {', '.join(sizes)} {unit}")
    for each in found["questions"]:
        effects = ["-" if each[key] is None else f"{each[key] * factor:.3g}" for key in ("one", "all")]
        seeds = ", ".join(f"{row['seeds']}{'+' if row['seeds'] >= MOST_SEEDS else ''}" for row in each["seeds"])
        table.add_row(each["question"], str(each["comparisons"]), *effects, seeds)
    return table


def _equal_cost(found: Mapping[str, Any]) -> Table:
    table = _table("at this study's cost", "arms", "seeds", "error, sd(d)", "all, sd(d)")
    for row in found["equal_cost"]:
        figures = ["-" if row[key] is None else f"{row[key]:.2f}" for key in ("error", "all")]
        table.add_row(row["design"], str(row["arms"]), str(row["seeds"]), *figures)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first, min_width=18)
    for name in others:
        table.add_column(name, justify="right")
    return table
