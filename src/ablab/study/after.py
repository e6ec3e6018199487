"""What a change does to a trained network before it is scored: `after: [prune/0.3, export/int8]`.

    network --prune--> fewer channels --fine-tune--> network'        its weights are those that the run keeps
    network' --deploy--> RUN/openvino-int8.xml --Standin--> where the task expects its network

The network is trained as the baseline's under the same seed is, to the bit: so the difference is the price of the steps
alone, the fine-tune included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ablab.contracts import SampleSet, Task
from ablab.engine.checkpoint import read_metadata, read_weights, save_weights
from ablab.engine.events import Events
from ablab.engine.fit import Fitted
from ablab.errors import ConfigError
from ablab.export.deploy import deploy, reopen
from ablab.export.deployed import Standin
from ablab.export.prune import prune, resize, sizes
from ablab.export.quantize import IMAGES
from ablab.measure import parameters
from ablab.study.design import Arm
from ablab.study.steps import runtime, share, tuning

SIZES = "sizes"  # of a pruned network, in the metadata of its weights


def pruned(arm: Arm, task: Task, model: nn.Module) -> nn.Module:
    """The network that the arm keeps, before any fine-tune: itself, or one with fewer channels on the CPU.

    Raises ConfigError where it cannot be pruned, or the package for it is missing.
    """
    asked = share(arm.after)
    return model if asked is None else prune(model, asked, task.example())


def tuned(arm: Arm, task: Task, fitted: Fitted, fit: Callable[..., Fitted], events: Events) -> Fitted:
    """A training with what comes after it: its network pruned and fine-tuned by `fit`, where the arm asks for that.

    `fit(model, recipe=...)` trains as the arm was, but for its recipe.
    Epochs of the curves, seconds and notes are those of both trainings; the batches are the first's, so that they are
    the baseline's. Raises as `pruned` and `fit`.
    """
    model = pruned(arm, task, fitted.model)
    if model is fitted.model:
        return fitted
    recipe, before = tuning(arm.recipe), parameters(fitted.model)
    events.say(
        f"prune: {parameters(model):,} of {before:,} parameters stay; fine-tuning, epochs: {recipe.train.epochs}"
    )
    more = fit(model, recipe=recipe)
    seconds = fitted.seconds + more.seconds
    images = fitted.images_per_second * fitted.seconds + more.images_per_second * more.seconds
    rows = tuple({**row, "epoch": row["epoch"] + len(fitted.curves)} for row in more.curves)
    return replace(
        more,
        curves=(*fitted.curves, *rows),
        steps=fitted.steps + more.steps,
        seconds=seconds,
        waiting=fitted.waiting + more.waiting,
        images_per_second=images / seconds,
        batch_hash=fitted.batch_hash,
        notes=(*fitted.notes, *(f"fine-tune: {note}" for note in more.notes)),
        earlier_seconds=fitted.earlier_seconds + more.earlier_seconds,
    )


def save(path: Path, arm: Arm, whole: nn.Module, model: nn.Module) -> None:
    """Write the weights; of a pruned network with its sizes, from which `load` rebuilds it. `whole` is the unpruned."""
    pruned_sizes = {} if share(arm.after) is None else {SIZES: sizes(whole, model)}
    save_weights(path, model, pruned_sizes)


def fitted_to(path: Path, arm: Arm, model: nn.Module) -> None:
    """Give a network that was just built, in place, the sizes of the pruned one whose weights are in `path`.

    Raises StoreError for a damaged file, ConfigError where it holds another network's weights.
    """
    if share(arm.after) is not None:
        resize(model, read_metadata(path).get(SIZES, {}), read_weights(path))


def judged(arm: Arm, task: Task, model: nn.Module, plain: SampleSet, place: Path, most: int = IMAGES) -> nn.Module:
    """What of a trained network is scored: itself, or what its export makes of it in the folder `place`.

    `plain` is the training split without augmentation, of which `most` images at most give int8 its ranges. Raises
    ConfigError for a missing package and for images of unlike shape, RunError for a network that cannot be exported.
    """
    name = runtime(arm.after, arm.name)
    if name is None:
        return model
    place.mkdir(parents=True, exist_ok=True)
    images = training_images(task, plain, most)
    return Standin(deploy(model, images, name, place, torch.get_num_threads()))


def reopened(arm: Arm, model: nn.Module, place: Path) -> nn.Module:
    """The same of a finished run, whose folder is `place`. Raises ConfigError where it cannot be opened."""
    name = runtime(arm.after, arm.name)
    if name is None:
        return model
    size = arm.recipe.train.image_size
    return Standin(reopen(name, place, size, torch.get_num_threads()))


def training_images(task: Task, plain: SampleSet, most: int = IMAGES) -> np.ndarray:
    """At most so many images of the training split, spread evenly over it, as they are evaluated.

    -> (n, H, W, 3) uint8. Raises ConfigError where they have unlike shapes: an exported network takes one.
    """
    if plain.shapes is not None:
        raise ConfigError(
            "an exported network takes images of one shape, and here each has its own: set postprocess.rectangular to "
            "false in the baseline"
        )
    chosen = np.unique(np.linspace(0, len(plain) - 1, min(most, len(plain))).round().astype(int))
    images: torch.Tensor = task.collate([plain[0, int(index)] for index in chosen])["images"]
    return images.permute(0, 2, 3, 1).contiguous().numpy()
