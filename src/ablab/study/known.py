"""The seed noise sd(d) before a study has run: stated in the study, or measured in stored runs of the same baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablab.errors import StoreError
from ablab.records import read_json, read_records
from ablab.study.spec import Study

SPEED = ("workers", "cache", "cache_gb")  # settings that change no score


@dataclass(frozen=True)
class Noise:
    """The standard deviation over seeds of a difference of two arms, in the metric's units, and how it is known."""

    sd: float
    source: str


def known_noise(study: Study, shelf: Path, manifest: str) -> Noise | None:
    """What `judge.noise` says; else the pooled sd(d) of the studies in `shelf` with the same baseline, data and metric.

        sd(d)^2 = sum over arms of (n - 1) sd^2 / sum of (n - 1)

    Where only runs of the baseline itself are stored, sqrt(2) times their sd: as if pairing helped nothing. None where
    nothing is stored. `manifest` is the data's fingerprint; a damaged folder counts for nothing.
    """
    if study.judge.noise:
        return Noise(study.judge.noise, "judge.noise")
    differences, runs = list[tuple[int, float]](), list[float]()
    names = []
    for folder in _alike(study, shelf, manifest):
        with suppress(StoreError, KeyError, TypeError):
            found, own = _differences(folder), _baselines(folder, study)
            differences += found
            runs += own
            names += [folder.name] if found or own else []
    where = f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''} in {shelf}"
    freedom = sum(n - 1 for n, _ in differences)
    if freedom:
        sd = math.sqrt(sum((n - 1) * sd**2 for n, sd in differences) / freedom)
        return Noise(sd, f"{len(differences)} comparisons in {where}") if sd else None
    if len(runs) > 1 and np.ptp(runs):
        said = f"{len(runs)} runs of the baseline in {where}, as if unpaired"
        return Noise(math.sqrt(2) * float(np.std(runs, ddof=1)), said)
    return None


def _alike(study: Study, shelf: Path, manifest: str) -> Iterator[Path]:
    """Folders of studies that trained this baseline on this data and judged by this metric."""
    wanted = _lasting(study.baseline.model_dump(mode="json"))
    for path in sorted(shelf.glob("*/study.json")):
        with suppress(StoreError, KeyError, TypeError):
            stored, planned = read_json(path), read_json(path.with_name("plan.json"))
            same = (stored["metric"], stored["split"]) == (study.judge.metric, study.judge.split)
            if same and planned["asked"]["data"]["baseline"] == manifest and _lasting(stored["baseline"]) == wanted:
                yield path.parent


def _lasting(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe but for where data lies and what changes speed alone."""
    data = {key: value for key, value in recipe["data"].items() if key != "path"}
    train = {key: value for key, value in recipe["train"].items() if key not in SPEED}
    return {**recipe, "data": data, "train": train}


def _differences(folder: Path) -> list[tuple[int, float]]:
    """(n, sd) of every comparison of one arm with another in a judged study."""
    path = folder / "verdicts.json"
    rows = read_json(path)["arms"] if path.is_file() else []
    return [(row["n"], row["sd"]) for row in rows if row["n"] > 1 and row["sd"] is not None]


def _baselines(folder: Path, study: Study) -> list[float]:
    """The baseline's scores on the judge's split; on test only a closed study has them, and its verdicts say more."""
    done = [r for r in read_records(folder) if r.key.arm == "baseline" and r.status == "done"]
    return [r.scores[study.judge.split][study.judge.metric] for r in done if study.judge.split in r.scores]
