"""A sequential study on its way: what each look said, which arms go on, and how many seeds each of them gets.

`looks.json` is a list with one row an arm and look, in the order in which they were judged; it only ever grows:

    {"look": 1, "of": 3, "seeds": 5, "arm": "cbam", "against": "baseline", "n": 5, "effect": 0.021, "t": 6.9,
     "boundary": 5.8, "low": 0.003, "high": 0.039, "conditional_power": null, "outcome": "helps", "time": "2026-..."}

`seeds` are the look's, `n` the pairs that have both scores, `low` and `high` effect -+ boundary * se at alpha / K.
`outcome` is helps, hurts, equivalent, futile (the arm stops), goes on, or at the last look undecided. A number that is
unknown or not finite is null. What a look said stands: it is judged once, and everything else follows from the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ablab.records import RunKey, RunRecord, plain_json, read_json, write_json
from ablab.stats import Verdict, sequential, smallest_detectable
from ablab.stats.verdicts import Decision
from ablab.study.columns import columns, signed
from ablab.study.design import BASELINE, Arm
from ablab.study.spec import Study

Row = dict[str, Any]
Scores = dict[str, dict[int, float]]
FILE = "looks.json"
ROUNDING = 1e-9  # of an effect
DECIDED: dict[str, Decision] = {"helps": "helps", "hurts": "hurts", "equivalent": "equivalent"}


def read_log(folder: Path) -> list[Row]:
    """The rows of `looks.json`; none before the first look."""
    path = folder / FILE
    rows: list[Row] = read_json(path) if path.exists() else []
    return rows


def rules(study: Study, made: Sequence[Arm]) -> sequential.Rules:
    """What the study declared of its looks."""
    judge, seeds = study.judge, study.seeds
    return sequential.Rules(
        seeds.looks, len(made) - 1, judge.smallest_interesting, judge.direction, judge.alpha, seeds.futility
    )


def taken(log: Sequence[Row]) -> int:
    """The number of the last look that was judged; 0 before the first."""
    return max((row["look"] for row in log), default=0)


def last(log: Sequence[Row]) -> dict[str, Row]:
    """{arm: its last row}."""
    return {row["arm"]: row for row in log}


def going(made: Sequence[Arm], log: Sequence[Row]) -> list[Arm]:
    """The arms that are still to be decided."""
    said = last(log)
    return [arm for arm in made[1:] if arm.name not in said or said[arm.name]["outcome"] == "goes on"]


def wanted_seeds(study: Study, made: Sequence[Arm], log: Sequence[Row]) -> dict[str, int]:
    """{arm: how many seeds it is trained under} up to the next look.

    An arm that was decided keeps those that it has; the baseline, and any arm that another is compared with, goes as
    far as the furthest of these.
    """
    looks, said, on = study.seeds.looks, last(log), {arm.name for arm in going(made, log)}
    ahead = looks[min(taken(log), len(looks) - 1)]
    own = {arm.name: ahead if arm.name in on else said[arm.name]["seeds"] for arm in made[1:]}
    own[BASELINE] = max(own.values())
    return {arm.name: max(own[name] for name in (arm.name, *_judged_by(arm, made))) for arm in made}


def _judged_by(arm: Arm, made: Sequence[Arm]) -> list[str]:
    """The arms that are compared with this one."""
    return [other.name for other in made[1:] if other.against == arm.name]


def runs_now(
    study: Study, made: Sequence[Arm], every: Sequence[tuple[Arm, RunKey]], folder: Path
) -> list[tuple[Arm, RunKey]]:
    """Of every run of the study those up to its next look; all of them where it has none."""
    if not study.seeds.looks:
        return list(every)
    wanted = wanted_seeds(study, made, read_log(folder))
    return [(arm, key) for arm, key in every if key.seed in study.seeds[: wanted[arm.name]]]


def advance(
    folder: Path,
    study: Study,
    made: Sequence[Arm],
    wanted: Sequence[tuple[Arm, RunKey]],
    records: Mapping[RunKey, RunRecord],
    table: Scores,
) -> list[Row]:
    """Judge the next look and log it; returns its rows, none where it cannot be judged yet or no arm goes on.

    A look waits for every run of it, and for those of an arm that others are compared with to end well. Another arm's
    failed run is a missing pair.
    """
    log, compared = read_log(folder), {arm.against for arm in made}
    for arm, key in wanted:
        if key not in records or (arm.name in compared and records[key].status == "failed"):
            return []
    number, declared, on = taken(log) + 1, rules(study, made), going(made, log)
    if not on:
        return []
    time = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [_row(arm, number, declared, table, study) | {"time": time} for arm in on]
    write_json(folder / FILE, [*log, *rows])
    return rows


def _row(arm: Arm, number: int, declared: sequential.Rules, table: Scores, study: Study) -> Row:
    seeds = declared.looks[number - 1]
    look = sequential.take(_differences(arm, study.seeds[:seeds], table), number, declared)
    row = {
        "look": number,
        "of": len(declared.looks),
        "seeds": seeds,
        "arm": arm.name,
        "against": arm.against,
        "n": look.n,
        "effect": look.effect,
        "t": look.t,
        "boundary": look.boundary,
        "low": look.interval[0],
        "high": look.interval[1],
        "conditional_power": look.conditional_power,
        "outcome": look.outcome,
    }
    return dict(plain_json(row))


def _differences(arm: Arm, seeds: Sequence[int], table: Scores) -> list[float]:
    own, other = table.get(arm.name, {}), table.get(arm.against, {})
    return [own[seed] - other[seed] for seed in seeds if seed in own and seed in other]


def verdicts(study: Study, made: Sequence[Arm], table: Scores, log: Sequence[Row], binding: bool = True) -> list[Row]:
    """One verdict an arm as plain data, at the look where it stands, which is its `look` (0 before the first).

    `level` is the nominal level of the look at alpha: 1 - `level` is what Student's interval of the look's seeds would
    be called. What the log decided stands where it is `binding`: for the scores that it was decided on.
    """
    declared, said = rules(study, made), last(log)
    controls = [arm.name for arm in made if arm.kind == "control"]
    rows = []
    for arm in made[1:]:
        number = said[arm.name]["look"] if arm.name in said else 0
        own, other = table.get(arm.name, {}), table.get(arm.against, {})
        found = sequential.verdict(arm.name, own, arm.against, other, study.seeds, number, declared, controls)
        if binding and number:
            found = _as_decided(found, said[arm.name]["outcome"])
        level = declared.level(number, declared.alpha) if number else declared.alpha
        rows.append(found.as_dict() | {"look": number, "level": level})
    return rows


def _as_decided(found: Verdict, outcome: str) -> Verdict:
    decided = DECIDED.get(outcome, "undecided")
    if found.verdict == decided:
        return found
    return replace(found, verdict=decided, qualifiers=(*found.qualifiers, "as decided at its look"))


def detectable(study: Study, comparisons: int) -> float:
    """The smallest effect, in sd(d), that the study's seeds find four times in five among so many comparisons.

    With looks it is what the last of them finds, so that all of them together find a little less than that.
    """
    judge, seeds = study.judge, study.seeds
    if not seeds.looks:
        return smallest_detectable(len(seeds), judge.alpha, comparisons, method=judge.method)
    return smallest_detectable(len(seeds), sequential.levels(seeds.looks, judge.alpha / comparisons)[-1])


def prospects(study: Study, made: Sequence[Arm], hours: float) -> list[Row]:
    """`looks` of `plan.json`, one row a look: what the study costs if no arm stops before it and none goes on.

    {"look": 1, "seeds": 5, "runs": 20, "hours": 1.5, "boundary": 5.8}; `hours` is the cost of all looks. Empty where
    the study has no looks.
    """
    looks, declared = study.seeds.looks, rules(study, made)
    decides = sequential.boundaries(looks, declared.alpha / declared.arms) if looks else ()
    return [
        {"look": number, "seeds": n, "runs": n * len(made), "hours": hours * n / looks[-1], "boundary": boundary}
        for number, (n, boundary) in enumerate(zip(looks, decides, strict=True), start=1)
    ]


def summary(study: Study, made: Sequence[Arm], log: Sequence[Row]) -> Row:
    """`looks` of `verdicts.json`: the numbers of seeds, the |t| that decides at each, and how many were judged."""
    declared = rules(study, made)
    return {
        "at": list(declared.looks),
        "boundaries": list(sequential.boundaries(declared.looks, declared.alpha / declared.arms)),
        "alpha": declared.alpha / declared.arms,
        "futility": declared.futility,
        "judged": taken(log),
    }


def warnings(study: Study, made: Sequence[Arm], table: Scores, log: Sequence[Row]) -> list[str]:
    """Where the scores of a look are no longer those that it was judged on."""
    by_name, said = {arm.name: arm for arm in made}, []
    for row in log:
        differences = _differences(by_name[row["arm"]], study.seeds[: row["seeds"]], table)
        effect = sum(differences) / len(differences) if differences else None
        now, then = (len(differences), effect or 0.0), (row["n"], row["effect"] or 0.0)
        if now[0] != then[0] or abs(now[1] - then[1]) > ROUNDING:
            said.append(
                f"{row['arm']}: look {row['look']} was judged on {row['n']} pairs with the effect "
                f"{signed(row['effect'])}, and its runs now say {signed(effect)} over {len(differences)}; what was "
                "decided stands"
            )
    return said


def lines(rows: Sequence[Row]) -> str:
    """A look as a small table of text."""
    first = rows[0]
    head = f"look {first['look']} of {first['of']}: {first['seeds']} seeds"
    table = [("arm", "effect", "interval", "|t|", "decides", "")]
    for row in rows:
        t = "-" if row["t"] is None else f"{abs(row['t']):.2f}"
        ends = f"{signed(row['low'])} .. {signed(row['high'])}"
        boundary = "-" if row["boundary"] is None else f"{row['boundary']:.2f}"
        table.append((row["arm"], signed(row["effect"]), ends, t, boundary, row["outcome"]))
    return f"{head}\n{columns(table)}"
