"""Gathering a study's folder into a View."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ablab import records
from ablab.errors import ConfigError, StoreError
from ablab.reports.view import Arm, Picture, Run, View
from ablab.stats import Population, Verdict


def read(folder: Path) -> View:
    """Gather a study's folder. A study under way gives a view with gaps.

    Raises ConfigError where `folder` is no study; StoreError where a file in it is damaged.
    """
    if not (folder / "study.json").is_file():
        raise ConfigError(f"{folder} is not a study: it holds no study.json; give the folder that `ablab run` wrote")
    study = records.read_json(folder / "study.json")
    planned = _optional(folder / "plan.json")
    plan = {row["arm"]: row for row in planned.get("arms", [])}
    judged = _optional(folder / "verdicts.json")
    final = _optional(folder / "final.json")
    runs = _runs(folder)
    try:
        pictures = _pictures(folder)
        arms = [_arm(row, plan, runs, judged, final, pictures) for row in study["arms"]]
        return View(
            folder=folder,
            **{key: study[key] for key in ("name", "fingerprint", "version", "created", "metric", "direction")},
            **{key: study[key] for key in ("smallest_interesting", "alpha", "on_divergence")},
            split=study["split"],
            design=study["design"],
            seeds=tuple(study["seeds"]),
            recipe=study["baseline"],
            arms=tuple(arms),
            judged=bool(judged),
            label=judged.get("label", ""),
            warnings=_warnings(judged.get("warnings", ()), arms),
            notes=tuple(planned.get("notes", ())),
            strangers=tuple(sorted(set(runs) - {arm.name for arm in arms})),
            final_split=final.get("split", ""),
            final_read=final.get("read", ""),
            looks=tuple(_optional(folder / "looks.json", [])),
            confirm=_optional(folder / "confirm.json"),
            factorial=judged.get("factorial") or {},
            looking=judged.get("looks") or study.get("looks") or {},
            effects=_effects(judged.get("factorial") or {}, study["arms"]),
            data=planned.get("asked", {}).get("data", {}),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"a file in {folder} does not fit this version of ablab: {error!r}; run the study again"
        ) from None


def _arm(
    row: dict[str, Any],
    plan: Mapping[str, Any],
    runs: Mapping[str, dict[int, Run]],
    judged: Mapping[str, Any],
    final: Mapping[str, Any],
    pictures: Mapping[str, list[Picture]],
) -> Arm:
    name = row["name"]
    return Arm(
        name=name,
        kind=row["kind"],
        because=row.get("because", ""),
        diff=tuple(row.get("diff", ())),
        changes=tuple(row.get("changes", ())),
        plan=plan.get(name, {}),
        runs=runs.get(name, {}),
        verdict=_verdict(judged.get("arms", []), name),
        population=_population(judged.get("arms", []), name),
        final=_verdict(final.get("verdicts", []), name),
        final_scores={int(seed): scores for seed, scores in final.get("scores", {}).get(name, {}).items()},
        pictures=tuple(pictures.get(name, [])),
    )


def _verdict(rows: list[dict[str, Any]], name: str) -> Verdict | None:
    """The arm's verdict, without what the study's rows hold besides."""
    known = {part.name for part in fields(Verdict)}
    found = [{key: value for key, value in row.items() if key in known} for row in rows if row["arm"] == name]
    return Verdict.from_dict(found[0]) if found else None


def _effects(factorial: Mapping[str, Any], rows: list[dict[str, Any]]) -> tuple[Arm, ...]:
    """A factorial's main effects, with the reason that the change's own arm gives, where it was trained."""
    because = {row["name"]: row.get("because", "") for row in rows}
    main = factorial.get("main", [])
    return tuple(
        Arm(name, "change", because.get(name, ""), verdict=_verdict(main, name), population=_population(main, name))
        for name in (row["arm"] for row in main)
    )


def _population(rows: list[dict[str, Any]], name: str) -> Population | None:
    found = [row["population"] for row in rows if row["arm"] == name and row.get("population")]
    return Population.from_dict(found[0]) if found else None


def _warnings(said: list[str], arms: list[Arm]) -> tuple[str, ...]:
    """The judge's warnings, but those about runs that failed or diverged: the reports list these runs themselves."""
    listed = [
        f"{arm.name}, seed {seed}: {run.record.status}"
        for arm in arms
        for seed, run in arm.runs.items()
        if run.record.status != "done"
    ]
    return tuple(warning for warning in said if not warning.startswith(tuple(listed) or ("\0",)))


def _optional(path: Path, otherwise: Any = MappingProxyType({})) -> Any:
    return records.read_json(path) if path.is_file() else otherwise


def _runs(folder: Path) -> dict[str, dict[int, Run]]:
    """{arm: {seed: run}}. Of two runs of one arm and seed (the recipe was edited between them) the newer one counts."""
    found: dict[str, dict[int, tuple[float, Run]]] = {}
    for path in sorted(folder.glob("runs/*/*/record.json")):
        record, written = records.read_record(path), path.stat().st_mtime
        of_arm = found.setdefault(record.key.arm, {})
        if record.key.seed not in of_arm or of_arm[record.key.seed][0] <= written:
            history = records.read_history(path.with_name("curves.csv"))
            run = Run(record, history, _optional(path.with_name("curves.json")))
            of_arm[record.key.seed] = (written, run)
    return {arm: {seed: run for seed, (_, run) in sorted(of_arm.items())} for arm, of_arm in found.items()}


def _pictures(folder: Path) -> dict[str, list[Picture]]:
    """{arm: pictures}. A file's name is taken as a name, never as a path that leads out of `panels/`."""
    path = folder / "panels" / "panels.json"
    rows = records.read_json(path) if path.is_file() else []
    found: dict[str, list[Picture]] = {}
    for row in rows:
        file = path.parent / Path(row["file"]).name
        png = file.read_bytes() if file.is_file() else None
        found.setdefault(row["arm"], []).append(Picture(row["kind"], row["title"], row["caption"], file.name, png))
    return found
