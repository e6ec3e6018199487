"""ablab: which of your changes help, by how much, how sure, and at what cost.

    import ablab

    study = ablab.load("studies/bccd.yaml")
    print(ablab.plan(study)["hours"])
    outcome = ablab.run(study, "runs/bccd")
    ablab.report("runs/bccd")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablab.registry import register

if TYPE_CHECKING:
    from typing import Literal

    from ablab import surgery as surgery
    from ablab.results.judgement import Judgement
    from ablab.study.spec import Study

__version__ = "0.1.0"
__all__ = ["compare", "load", "plan", "register", "report", "run", "surgery"]


def load(path: str | Path, changes: dict[str, Any] | None = None, *, runtime: str | None = None) -> Any:
    """Read a study file, a `Study`; or a finished run or a bundle, its folder or its weights, a `predict.model.Model`.

    A model is a function: `model("image.jpg")` gives boxes, scores and labels. `changes` are dotted overrides such as
    {"baseline.train.epochs": 5} of a study, {"postprocess.nms": "soft"} of a run.
    `runtime` is one of a bundle's; without it the fastest is taken.

    Raises ConfigError for an unknown key, name or type, and for a path that is neither; StoreError for damaged weights.
    """
    if Path(path).suffix.lower() in (".yaml", ".yml"):
        from ablab.study import spec

        return spec.load(Path(path), changes)
    from ablab.predict.shipped import open_model

    return open_model(Path(path), changes, runtime=runtime)


def plan(study: Study, plugins: Sequence[str | Path] = ()) -> dict[str, Any]:
    """Build and check every arm; sites, shapes, cost, hours and detectable effect as plain data. Nothing trains.

    Raises UserError naming every arm that cannot be built.
    """
    from ablab.engine.events import Silent
    from ablab.study import plan as planning

    return planning.plan(study, [Path(p) for p in plugins], Silent())


def run(
    study: Study, folder: str | Path | None = None, *, jobs: int | None = None, plugins: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """Train what is missing, judge, and close; returns the verdicts as plain data.

    Call it under `if __name__ == "__main__":` in a script, as runs are processes of their own.
    """
    from ablab.engine.events import shown
    from ablab.study import run as running

    place = Path(folder) if folder else Path("runs") / study.name
    with shown() as display:
        return running.run(study, place, jobs=jobs, plugins=[Path(p) for p in plugins], display=display)


def report(folder: str | Path) -> dict[str, Path]:
    """Write a study's report (HTML, Markdown, LaTeX, CSV, JSON); returns {format: path}."""
    from ablab import reports

    return reports.write(Path(folder))


def compare(
    scores: Any,
    *,
    smallest_interesting: float,
    baseline: str | None = None,
    direction: Literal["max", "min"] = "max",
    alpha: float = 0.05,
    controls: Collection[str] = (),
    paired: bool = True,
    metric: str = "score",
) -> Judgement:
    """Judge anybody's scores: {"baseline": [0.50, 0.52], "frelu": [0.53, 0.54]} gives a verdict an arm.

    Lists (arrays, a column of a DataFrame) of equal length are paired by index, {seed: score} by seed; a score may be
    None. Anything else is refused unless `paired=False`, which compares arms without common seeds (Welch). The baseline
    is the one that is named, else the arm `baseline`, else the first. `smallest_interesting` is in the metric's units.

    Raises DataError for scores that cannot be paired without a guess; ConfigError for rules out of range.
    """
    from ablab.results.judgement import BASELINE, judged
    from ablab.results.result import Reading
    from ablab.results.scores import results_of

    found = Reading(results_of(scores, metric, paired), metric, "compare")
    arms = list(found.table())
    name = baseline or next((arm for arm in arms if arm == BASELINE), arms[0] if arms else None)
    rules: dict[str, Any] = {"smallest_interesting": smallest_interesting, "direction": direction, "alpha": alpha}
    return judged(found, baseline=name, controls=controls, paired=paired, **rules)


def __getattr__(name: str) -> Any:
    if name == "surgery":
        return importlib.import_module("ablab.surgery")
    raise AttributeError(f"module 'ablab' has no attribute '{name}'; it has {', '.join(__all__)}")
