"""A finished study's winner on fresh seeds: the best of many changes looks better than it is.

The winner, all helping changes together (the stack) where there is more than one, and what these are compared with are
trained again, in `STUDY/confirm/`, under seeds that the study never used, and judged as a study of their own: K is the
number of arms confirmed. `confirm.json`:

    {"seeds": [5, 6, 7], "runs": 9, "finished": true, "failed": 0, "missing": 0, "notes": [sentences],
     "arms": [{the fields of a verdict on the fresh seeds, "role": "winner" or "stack", "study_effect": 0.041 or null,
               "shrinkage": 0.012 or null, "kept": 0.7 or null}],
     "bias": {"arms": 6, "seeds": 3, "in_sd": 0.73, "points": 0.009 or null}}

`arms` is empty until every run has ended: nobody looks at a part of it. `shrinkage` is the study's effect less the
fresh one, `kept` the fresh one as a share of the study's, null where the study did not train the arm. `bias` is what
the best of as many useless changes is expected to show: in units of one arm's sd over seeds, and in the metric's at the
baseline's sd.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ablab import registry, stats
from ablab.engine.events import Display
from ablab.errors import ConfigError
from ablab.records import RunRecord, read_json, write_json
from ablab.stats import Confirmation, expected_bias
from ablab.study import looks, store
from ablab.study.columns import columns, signed
from ablab.study.design import BASELINE, Arm, arms, study_fingerprint
from ablab.study.executors.job import Executor
from ablab.study.factorial import factorial
from ablab.study.judge import Scores, score_table, verdicts
from ablab.study.run import LOCAL, complete, manifests, train_missing
from ablab.study.seeds import Seeds
from ablab.study.spec import Study
from ablab.study.winners import Candidate, candidates

FILE, PLACE = "confirm.json", "confirm"
FEWEST = 2  # one difference has no spread


def confirm(
    study: Study,
    folder: Path,
    *,
    seeds: int | None = None,
    jobs: int | None = None,
    plugins: Sequence[Path] = (),
    display: Display,
    executor: Executor = LOCAL,
) -> dict[str, Any]:
    """Train winner, stack and baseline under `seeds` fresh seeds, judge, write `confirm.json` and return it.

    Without `seeds`, as many as chose the winner. A second call does only what is missing. Raises ConfigError where the
    study is another one, is not finished, is judged on test or has nothing that helped, and for another number of
    seeds than the confirmation was begun with.
    """
    start = time.monotonic()
    with store.driving(folder, display.row("")):
        source = registry.load_plugins([*map(Path, study.plugins), *plugins])
        _assert_same(study, folder)
        made, events = arms(study), display.row("")
        data = manifests(made, events)
        table = score_table(study, _finished(study, folder, made, data, source))
        found, notes = _chosen(study, folder, made, table)
        usual = _seeds_of(study, found[0])
        document: dict[str, Any] = {"notes": notes, "bias": _bias(table, len(made) - 1, usual)}
        fresh = _begin(study, folder, document, seeds, usual)
        trained = _trained(made, found)
        data |= manifests([arm for arm in trained if arm.name not in data], events)
        wanted = store.keys(fresh, trained, data, source)
        (folder / PLACE).mkdir(exist_ok=True)
        executor.ready(folder / PLACE, [arm.recipe.train for arm in trained])
        parallel = jobs or executor.at_a_time(study.baseline.train)
        train_missing(fresh, folder / PLACE, wanted, plugins, parallel, display, start, executor)
        runs = store.finished(folder / PLACE, [key for _, key in wanted])
        missing = len(wanted) - len(runs)
        document |= {
            "seeds": list(fresh.seeds),
            "runs": len(wanted),
            "finished": complete(runs, wanted),
            "failed": sum(record.status == "failed" for record in runs.values()),
            "missing": missing,
            "arms": [] if missing else _rows(fresh, found, score_table(fresh, list(runs.values()))),
        }
        write_json(folder / FILE, document)
    return document


def _assert_same(study: Study, folder: Path) -> None:
    """ConfigError for a folder that holds no study, or another one, and for one that chooses nothing."""
    if study.judge.split == "test":
        raise ConfigError("--confirm: a study that is judged on test chooses no winner; judge on validation")
    path = folder / "study.json"
    if not path.exists():
        raise ConfigError(f"--confirm: there is no study in {folder} yet; run it first, without --confirm")
    if read_json(path)["fingerprint"] != study_fingerprint(study):
        raise ConfigError(
            f"--confirm: {path} was frozen with other arms, seeds or judge than are asked for; ask for the study as "
            "it was run, or give the --folder of this one"
        )


def _finished(study: Study, folder: Path, made: Sequence[Arm], data: dict[str, str], source: str) -> list[RunRecord]:
    """The records of a study that is finished. Raises ConfigError for one that is not."""
    wanted = looks.runs_now(study, made, store.keys(study, made, data, source), folder)
    runs = store.finished(folder, [key for _, key in wanted])
    if not complete(runs, wanted) or (study.seeds.looks and looks.going(made, looks.read_log(folder))):
        undone = sum(key not in runs or runs[key].status == "failed" for _, key in wanted)
        raise ConfigError(
            f"--confirm: the study in {folder} is not finished ({undone} of {len(wanted)} runs are still to do); run "
            "it without --confirm first: a winner is chosen once"
        )
    return list(runs.values())


def _chosen(study: Study, folder: Path, made: Sequence[Arm], table: Scores) -> tuple[list[Candidate], list[str]]:
    rows = verdicts(study, made, table, looks.read_log(folder))
    return candidates(study, made, rows, factorial(study, made, table).get("main", []))


def _seeds_of(study: Study, winner: Candidate) -> int:
    """How many seeds chose the winner."""
    return winner.study.n if study.seeds.looks and winner.study else len(study.seeds)


def _bias(table: Scores, judged: int, n: int) -> dict[str, Any]:
    """What the best of as many useless changes is expected to show over n seeds."""
    scores, in_sd = list(table.get(BASELINE, {}).values()), expected_bias(judged, n)
    points = in_sd * statistics.stdev(scores) if len(scores) > 1 else None
    return {"arms": judged, "seeds": n, "in_sd": in_sd, "points": points}


def _begin(study: Study, folder: Path, document: Mapping[str, Any], asked: int | None, usual: int) -> Study:
    """The study under fresh seeds; `confirm.json` says from the first call on which these are."""
    path, first = folder / FILE, max(study.seeds) + 1
    begun = read_json(path)["seeds"] if path.exists() else None
    count = asked or (len(begun) if begun else usual)
    if count < FEWEST:
        raise ConfigError(f"--seeds: a confirmation takes {FEWEST} fresh seeds or more, got {count}")
    if begun and len(begun) != count:
        raise ConfigError(
            f"--seeds: this confirmation was begun with {len(begun)} fresh seeds, and {count} are asked for: adding "
            "seeds after a look voids alpha. Leave --seeds out to go on with it"
        )
    fresh = list(range(first, first + count))
    if not begun:
        undone = {"seeds": fresh, "runs": 0, "finished": False, "failed": 0, "missing": 0, "arms": []}
        write_json(path, {**document, **undone})
    return study.model_copy(update={"seeds": Seeds(fresh)})


def _trained(made: Sequence[Arm], found: Sequence[Candidate]) -> list[Arm]:
    """What fresh seeds train: the baseline, what a candidate is compared with, the candidates."""
    own = {each.arm.name for each in found}
    compared = {BASELINE, *(each.arm.against for each in found)} - own
    return [arm for arm in made if arm.name in compared] + [each.arm for each in found]


def _rows(fresh: Study, found: Sequence[Candidate], table: Scores) -> list[dict[str, Any]]:
    against = {each.arm.name: each.arm.against for each in found}
    judged = stats.judge(
        {name: table.get(name, {}) for name in (*against, *against.values())},
        against,
        direction=fresh.judge.direction,
        smallest_interesting=fresh.judge.smallest_interesting,
        alpha=fresh.judge.alpha,
    )
    pairs = zip(judged, found, strict=True)
    return [Confirmation(verdict, each.study).as_dict() | {"role": each.role} for verdict, each in pairs]


def lines(document: Mapping[str, Any]) -> str:
    """The confirmation as a small table of text; a note where it is not finished."""
    bias, fresh = document["bias"], document["seeds"]
    points = "" if bias["points"] is None else f" ({signed(bias['points'])} here)"
    curse = (
        f"the best of {bias['arms']} useless changes over {bias['seeds']} seeds looks, on average, {bias['in_sd']:.2f} "
        f"of one arm's sd over seeds better than it is{points}"
    )
    said = [*([curse] if bias["arms"] > 1 else []), *document["notes"]]
    if not document["arms"]:
        return "\n".join([f"{len(fresh)} fresh seeds ({fresh[0]} to {fresh[-1]}): not all runs have ended", *said])
    table = [("arm", "study", "fresh", "interval", "shrank by", "")]
    for row in document["arms"]:
        ends = " .. ".join(signed(end) for end in row["simultaneous"])
        effects = signed(row["study_effect"]), signed(row["effect"])
        role = row["role"] if row["against"] == BASELINE else f"{row['role']}, against {row['against']}"
        table.append((f"{row['arm']} ({role})", *effects, ends, signed(row["shrinkage"]), row["verdict"]))
    return "\n".join([f"confirmed on {len(fresh)} fresh seeds ({fresh[0]} to {fresh[-1]})", columns(table), *said])
