"""A run's network as a model: torch as its runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ablab import registry
from ablab.config import override
from ablab.contracts import Finder
from ablab.engine.memory import SIGNS
from ablab.engine.precision import Precision, choose
from ablab.errors import ConfigError, RunError
from ablab.export.deployed import Runner, Standin
from ablab.predict.asked import chosen
from ablab.predict.model import BATCH, Model
from ablab.recipe import Recipe
from ablab.study.after import reopened
from ablab.study.restore import restore
from ablab.study.single import run_folder
from ablab.study.steps import runtime

FREE = ("postprocess.", "train.device", "train.precision", "train.channels_last", "train.image_size")
WEIGHTS = "weights.safetensors"


class Network:
    """A network of torch in the arithmetic of its recipe, on the device of its recipe, as a `Runner`."""

    def __init__(self, finder: Finder, model: nn.Module, precision: Precision) -> None:
        self.finder, self.precision = finder, precision
        self.model = precision.place(model).eval()

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images (B, h, w, 3) uint8 RGB -> boxes (B, N, 4) in their pixels, scores (B, N, C).

        Raises RunError where memory runs out.
        """
        batch = self.precision.to_device({"images": torch.from_numpy(images).permute(0, 3, 1, 2)})
        try:
            with torch.inference_mode(), self.precision.autocast():
                boxes, scores = self.finder.decode(self.model, batch["images"])
            return boxes.float().cpu().numpy(), scores.float().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in SIGNS):
                raise RunError(f"out of memory with {len(images)} images at once; lower --batch ({error})") from None
            raise


def open_run(place: Path, changes: Mapping[str, Any] | None = None, batch: int = BATCH) -> Model:
    """A finished run as a model; `place` is its folder or the weights in it.

    What runs is what was scored: the network, pruned where the arm prunes, or the exported one where it exports.
    `changes` are dotted recipe fields that speak of a trained network's use: `postprocess.*`, and where nothing was
    exported `train.device`, `train.precision`, `train.image_size`. Raises ConfigError for a folder without a run, a
    file that is no run's weights, or another field; StoreError for damaged files.
    """
    folder = _folder(place)
    task, model, arm, settings = restore(folder)
    exported = runtime(arm.after, arm.name)
    recipe = _changed(task.recipe, changes or {}, exported)
    task = registry.task(recipe.task)[1](recipe, facts=task.facts())
    if not isinstance(task, Finder):
        raise ConfigError(f"{folder} is a run of the task '{recipe.task}', which finds no objects in images")
    scored = reopened(arm, model, folder)
    runner: Runner = scored.runner if isinstance(scored, Standin) else Network(task, model, choose(recipe.train))
    name = f"{folder} in {exported}" if exported else str(folder)
    return Model(task, runner, chosen(task.classes, settings), batch=batch, name=name)


def _changed(recipe: Recipe, changes: Mapping[str, Any], exported: str | None) -> Recipe:
    """The recipe with fields that matter after training, to a network of torch or to an `exported` one."""
    for path in changes:
        if exported and (not path.startswith("postprocess.") or path == "postprocess.rectangular"):
            raise ConfigError(
                f"'{path}' would do nothing: what was scored, and runs here, is the network that the run exported, in "
                f"{exported}; what may be set is postprocess.*, but not its rectangular"
            )
        if not path.startswith(FREE):
            free = ", ".join(f"{name}*" if name.endswith(".") else name for name in FREE)
            raise ConfigError(f"'{path}' would do nothing: the network is trained already; what may be set is {free}")
    return override(recipe, changes, "--set")


def _folder(place: Path) -> Path:
    """The run's folder that a path means."""
    if not place.is_file():
        return run_folder(place)
    if place.name == WEIGHTS and (place.parent / "run.json").is_file():
        return place.parent
    with place.open("rb") as file:
        head = file.read(2)
    held = (
        "; it is a pickle, which is never opened: that would run what is in it" if head in (b"PK", b"\x80\x02") else ""
    )
    raise ConfigError(
        f"{place} is no weights of a run{held}; expected a run's folder, or its {WEIGHTS} beside its run.json. Weights "
        "from elsewhere begin a training: --set start.weights=FILE"
    )
