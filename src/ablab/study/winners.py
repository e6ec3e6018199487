"""What a finished study chose: its winner, and all helping changes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from ablab.errors import ConfigError
from ablab.stats import Verdict
from ablab.study.collisions import collisions
from ablab.study.design import BASELINE, Arm, combined
from ablab.study.spec import Study

Row = Mapping[str, Any]
Role = Literal["winner", "stack"]


@dataclass(frozen=True)
class Candidate:
    """An arm to confirm, why, and what the study said of it; None where the study did not train it."""

    arm: Arm
    role: Role
    study: Verdict | None


def candidates(
    study: Study, made: Sequence[Arm], rows: Sequence[Row], main: Sequence[Row]
) -> tuple[list[Candidate], list[str]]:
    """The winner, and the stack where more than one change helped and they combine; with what must be said of them.

    `rows` are the arms' verdicts, `main` a factorial's main effects: its winner is the change with the best of these,
    alone. A ladder's winner is its best rung, against the one below; a leave-one-out study's full model is its stack.
    A control is never a winner. Raises ConfigError where nothing helped.
    """
    by_name = {arm.name: arm for arm in made}
    factorial = study.design == "factorial"
    asked = main if factorial else [row for row in rows if by_name[row["arm"]].kind == "change"]
    helping = [row for row in asked if row["verdict"] == "helps"]
    if not helping:
        raise ConfigError(
            "--confirm: no change helped in this study, so there is no winner to confirm; what is undecided wants a "
            "fresh study"
        )
    best = max(helping, key=lambda row: abs(row["effect"]))["arm"]
    winner = by_name.get(best) or _together(study, [best])
    changes = [row["arm"] if factorial else by_name[row["arm"]].changes[-1] for row in helping]
    seen = {row["arm"]: _verdict(row) for row in rows}
    found = [Candidate(replace(winner, kind="change"), "winner", seen.get(winner.name))]
    if len(changes) < 2 or study.design == "leave-one-out":
        return found, []
    try:
        stack = _stack(study, made, changes)
    except ConfigError as error:
        return found, [f"no stack: {error}"]
    return [*found, Candidate(stack, "stack", seen.get(stack.name))], []


def _stack(study: Study, made: Sequence[Arm], names: Sequence[str]) -> Arm:
    """All helping changes as one arm against the baseline. Raises ConfigError where they do not go together."""
    stack = _together(study, names)
    alike = [arm for arm in made if arm.changes == stack.changes and arm.against == BASELINE]
    if alike:
        return replace(alike[0], kind="change")
    clashes = list(collisions(study, [stack]))
    if clashes:
        raise ConfigError("; ".join(clashes))
    return stack


def _together(study: Study, names: Sequence[str]) -> Arm:
    chosen = [change for change in study.changes if change.name in names]
    because = chosen[0].because if len(chosen) == 1 else "all helping changes together"
    return combined(study, "+".join(change.name for change in chosen), "change", because, chosen)


def _verdict(row: Row) -> Verdict:
    return Verdict.from_dict({each.name: row[each.name] for each in fields(Verdict)})
