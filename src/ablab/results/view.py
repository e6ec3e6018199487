"""Anybody's results as the view that every report is drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ablab.errors import DataError, UnknownName
from ablab.records import RunKey, RunRecord, write_bytes
from ablab.reports import View, as_latex, as_markdown, as_page
from ablab.reports.document import as_json
from ablab.reports.sheets import arm_sheet
from ablab.reports.view import Arm, Run
from ablab.results.result import Reading, Result
from ablab.results.settings import changed

if TYPE_CHECKING:
    from ablab.results.judgement import Judgement

MOST_DRAWN = 1000
CONFIRMING = 5  # seeds below which a comparison is a screening
WRITERS = {".html": as_page, ".md": as_markdown, ".json": as_json, ".csv": arm_sheet, ".tex": as_latex}


def view(judgement: Judgement) -> View:
    """The view: arms, scores and verdicts; no recipe, cost or hashes, as ablab did not train."""
    from ablab import __version__

    reading = judgement.reading
    names = [judgement.baseline, *(verdict.arm for verdict in judgement.verdicts)]
    seeds = sorted({result.seed for result in reading.results})
    most = max((verdict.n for verdict in judgement.verdicts), default=0)
    return View(
        name=f"{reading.source}: {', '.join(names)}" if len(names) < 4 else f"{reading.source}: {len(names)} arms",
        metric=reading.metric,
        direction=judgement.direction,
        smallest_interesting=judgement.smallest_interesting,
        alpha=judgement.alpha,
        arms=tuple(_arm(judgement, name) for name in names),
        seeds=tuple(seeds),
        split=reading.split,
        source=reading.source,
        paired=judgement.paired,
        version=__version__,
        judged=True,
        label="screening" if most < CONFIRMING else "",
        warnings=judgement.warnings,
    )


def check_ending(path: Path) -> None:
    """Raise UnknownName for a file whose ending names no form of the report."""
    if path.suffix not in WRITERS:
        raise UnknownName("ending of a report", path.suffix or path.name, WRITERS, str(path))


def write(judgement: Judgement, path: Path) -> Path:
    """Write one file of the report, by its ending.

    Raises UnknownName for an ending that is none of ours; DataError for more seeds than can be drawn.
    """
    check_ending(path)
    drawn = view(judgement)
    if len(drawn.seeds) > MOST_DRAWN:
        raise DataError(f"{path}: a report draws every seed, {MOST_DRAWN} at most; these are {len(drawn.seeds):,}")
    write_bytes(path, WRITERS[path.suffix](drawn).encode())
    return path


def _arm(judgement: Judgement, name: str) -> Arm:
    reading = judgement.reading
    kind = "baseline" if name == judgement.baseline else "control" if name in judgement.controls else "change"
    own = sorted((result for result in reading.results if result.arm == name), key=lambda result: result.seed)
    return Arm(
        name=name,
        kind=kind,
        diff=() if kind == "baseline" else changed(reading.results, judgement.baseline, name),
        runs={result.seed: _run(reading, result) for result in own},
        verdict=next((verdict for verdict in judgement.verdicts if verdict.arm == name), None),
        population=reading.populations.get(name),
    )


def _run(reading: Reading, result: Result) -> Run:
    record = RunRecord(
        RunKey(reading.source, result.arm, result.seed, ""),
        "failed" if result.missing else "done",
        scores={} if result.missing else {reading.split: dict(_finite(result.scores))},
        error=result.missing,
    )
    return Run(record, curves=dict(result.curves))


def _finite(scores: Mapping[str, float]) -> Mapping[str, float]:
    return {metric: score for metric, score in scores.items() if math.isfinite(score)}
