"""From records to verdicts: what `stats` is asked, and what the reader is warned of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ablab import stats
from ablab.errors import ConfigError, suggest
from ablab.records import RunRecord
from ablab.study import images, looks
from ablab.study.design import BASELINE, Arm
from ablab.study.factorial import factorial, sides
from ablab.study.spec import Study

DESCRIBES = "descriptive: the main effects decide"
Scores = dict[str, dict[int, float]]


def judge(
    study: Study,
    made: Sequence[Arm],
    records: Sequence[RunRecord],
    test: Scores | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """`verdicts.json`: one row an arm, the label and the warnings; `factorial` where the design combines changes,
    `looks` where the study has them.

    `test` holds the judge metric on the test split once the study is closed: a study that is judged on test has no
    verdict before. With the study's `folder`, whose evidence is resampled, a row has `population`, too, and
    so have a factorial's effects.
    Raises ConfigError for a metric that no run has.
    """
    table = (test or {}) if study.judge.split == "test" else score_table(study, records)
    log = looks.read_log(folder) if folder and study.seeds.looks else []
    rows, combined = verdicts(study, made, table, log), factorial(study, made, table)
    if folder is not None:
        rows = images.add_populations(folder, study, records, rows)
        for part in ("main", "interactions"):
            if found := combined.get(part):
                combined[part] = images.add_populations(folder, study, records, found, sides(made, found))
    return {
        "split": study.judge.split,
        "metric": study.judge.metric,
        "label": "screening" if len(study.seeds) < 5 else "",
        "arms": rows,
        **({"factorial": combined} if combined else {}),
        **({"looks": looks.summary(study, made, log)} if study.seeds.looks else {}),
        "warnings": [
            *_unlearnt(study, table.get(BASELINE, {})),
            *looks.warnings(study, made, table, log),
            *warnings(made, records),
        ],
    }


def _unlearnt(study: Study, baseline: Mapping[int, float]) -> list[str]:
    """A baseline whose scores are no larger than what is interesting has learnt nothing that a change could add to."""
    if study.judge.direction == "min" or not baseline:
        return []
    mean = sum(baseline.values()) / len(baseline)
    if mean > 2 * study.judge.smallest_interesting:
        return []
    return [
        f"the baseline's {study.judge.metric} is {mean:.3f}: it has hardly learnt anything, so no verdict means much; "
        "train longer"
    ]


def verdicts(
    study: Study, made: Sequence[Arm], table: Scores, log: Sequence[looks.Row] = (), binding: bool = True
) -> list[dict[str, Any]]:
    """One verdict an arm, as plain data; where the study has looks, at the one where the `log` leaves the arm."""
    if study.seeds.looks:
        return looks.verdicts(study, made, table, log, binding)
    judged = stats.judge(
        {arm.name: table.get(arm.name, {}) for arm in made},
        {arm.name: arm.against for arm in made if arm.name != BASELINE},
        direction=study.judge.direction,
        smallest_interesting=study.judge.smallest_interesting,
        alpha=study.judge.alpha,
        method=study.judge.method,
        controls=[arm.name for arm in made if arm.kind == "control"],
    )
    rows = [verdict.as_dict() for verdict in judged]
    cells = {arm.name for arm in made if arm.kind == "cell"}
    return [row | {"qualifiers": [DESCRIBES, *row["qualifiers"]]} if row["arm"] in cells else row for row in rows]


def score_table(study: Study, records: Sequence[RunRecord]) -> Scores:
    """{arm: {seed: score}} on validation; a diverged run has the declared score, a failed one is missing."""
    table: Scores = {}
    for record in records:
        if record.status == "failed":
            continue
        scores = record.scores.get("validation", {})
        if record.status == "done" and study.judge.metric not in scores:
            raise ConfigError(f"judge: no metric '{study.judge.metric}'{suggest(study.judge.metric, scores)}")
        value = scores[study.judge.metric] if record.status == "done" else study.judge.on_divergence
        table.setdefault(record.key.arm, {})[record.key.seed] = value
    return table


def warnings(made: Sequence[Arm], records: Sequence[RunRecord]) -> list[str]:
    """What a reader must know before believing a row."""
    said = [f"{r.key.arm}, seed {r.key.seed}: {r.status}: {r.error}" for r in records if r.status != "done"]
    done = [record for record in records if record.status == "done"]
    own = {arm.name for arm in made if arm.stream != made[0].stream}  # their luck is their own
    said += _unequal(
        {r.key: r.batch_hash for r in done if r.key.arm not in own},
        "saw other batches than the baseline under the same seed, so these pairs share less luck",
    )
    said += _unequal(
        {r.key: f"{r.weights_loaded:.3f}" for r in done if r.weights_loaded is not None},
        "loaded another share of the pretrained weights than the baseline",
    )
    said += _unequal(
        {r.key: ", ".join(f"{k} {v}" for k, v in sorted(r.environment.items())) for r in done},
        "ran in another environment than the baseline",
    )
    return said + list(dict.fromkeys(note for record in records for note in record.notes))


def _unequal(values: Mapping[Any, str], sentence: str) -> list[str]:
    """One sentence an arm whose value differs from the baseline's under some seed."""
    baseline = {key.seed: value for key, value in values.items() if key.arm == BASELINE}
    odd: dict[str, list[int]] = {}
    for key, value in values.items():
        if baseline.get(key.seed, value) != value:
            odd.setdefault(key.arm, []).append(key.seed)
    return [f"{arm} {sentence} (seeds {', '.join(map(str, sorted(seeds)))})" for arm, seeds in odd.items()]
