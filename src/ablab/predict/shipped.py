"""A bundle as a model: what `ablab export` shipped, in the runtime that is asked for or the fastest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ablab import registry
from ablab.config import override
from ablab.contracts import Finder
from ablab.errors import ConfigError
from ablab.export import choose, is_bundle, read_bundle
from ablab.predict.asked import chosen
from ablab.predict.model import BATCH, Model
from ablab.predict.network import open_run
from ablab.study.restore import restore

AUTO = "auto"
Say = Callable[[str], None]


def open_model(
    place: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    runtime: str | None = None,
    batch: int = BATCH,
    say: Say = lambda text: None,
) -> Model:
    """A run (`open_run`) or a bundle (`open_bundle`) as a model; only a bundle has runtimes.

    Raises as these two do, and ConfigError for the runtime of a run.
    """
    folder = place.parent if is_bundle(place.parent) and place.is_file() else place
    if is_bundle(folder):
        return open_bundle(folder, changes, runtime=runtime or AUTO, batch=batch, say=say)
    if runtime:
        raise ConfigError(f"{place} is no bundle, and has no runtime '{runtime}'; `ablab export RUN` makes one")
    return open_run(place, changes, batch)


def open_bundle(
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    runtime: str = AUTO,
    batch: int = BATCH,
    say: Say = lambda text: None,
) -> Model:
    """A bundle as a model, every file of it checked against its hash.

    `runtime` is one of the bundle's, or `auto`: then those that passed are timed here at `batch` images, and the
    fastest is taken; `say` is told that. `changes` are `postprocess.*`; the input is of the size that was
    exported.

    Raises ConfigError for a bundle that is damaged, a runtime that it has not or that does not run here, or another
    change.
    """
    bundle = read_bundle(folder)
    fixed = {f"postprocess.{name}": value for name, value in bundle.card.postprocess.items()}
    for path in changes or {}:
        if path not in fixed or path == "postprocess.rectangular":
            free = ", ".join(name for name in fixed if name != "postprocess.rectangular")
            raise ConfigError(f"'{path}' cannot be set of a bundle: its network is fixed; what may be set is {free}")
    task, network, _, _ = restore(folder)
    fixed["train.image_size"] = bundle.card.preprocessing.image_size
    recipe = override(task.recipe, {**fixed, **(changes or {})}, "--set")
    finder = registry.task(recipe.task)[1](recipe, facts=task.facts())
    if not isinstance(finder, Finder):
        raise ConfigError(f"{folder} is a model of the task '{recipe.task}', which finds no objects in images")
    name = runtime
    if runtime == AUTO:
        fastest = choose(bundle, network=lambda: network, batch=batch, say=say)
        name, runner = fastest.name, fastest.runner
    else:
        runner = bundle.open(runtime, network=lambda: network, batch=batch)
    thresholds = chosen(finder.classes, bundle.card.thresholds)
    return Model(finder, runner, thresholds, batch=batch, name=f"{folder} in {name}", runtime=name)
