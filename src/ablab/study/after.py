"""What a change does to a trained network before it is scored: `after: [export/int8]`.

    network --deploy--> RUN/openvino-int8.xml --Standin--> where the task expects its network

The network's own weights are kept beside it, and trained as the baseline's under the same seed are, to the bit: so the
difference is the price of the step alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ablab.contracts import SampleSet, Task
from ablab.errors import ConfigError, UnknownName
from ablab.export.deploy import deploy, reopen
from ablab.export.deployed import Standin
from ablab.export.quantize import IMAGES
from ablab.recipe import After
from ablab.study.design import Arm

RUNTIMES: Mapping[After, str] = {
    "export/fp32": "openvino",
    "export/bf16": "openvino-bf16",
    "export/int8": "openvino-int8",
    "export/onnx-fp32": "onnx",
    "export/onnx-int8": "onnx-int8",
}


def judged(arm: Arm, task: Task, model: nn.Module, plain: SampleSet, place: Path, most: int = IMAGES) -> nn.Module:
    """What of a trained network is scored: itself, or what the arm's step makes of it in the folder `place`.

    `plain` is the training split without augmentation, of which `most` images at most give int8 its ranges. Raises
    ConfigError for a missing package and for images of unlike shape, RunError for a network that cannot be exported.
    """
    if not arm.after:
        return model
    place.mkdir(parents=True, exist_ok=True)
    images = training_images(task, plain, most)
    return Standin(deploy(model, images, _runtime(arm), place, torch.get_num_threads()))


def reopened(arm: Arm, model: nn.Module, place: Path) -> nn.Module:
    """The same of a finished run, whose folder is `place`. Raises ConfigError where it cannot be opened."""
    if not arm.after:
        return model
    size = arm.recipe.train.image_size
    return Standin(reopen(_runtime(arm), place, size, torch.get_num_threads()))


def _runtime(arm: Arm) -> str:
    (step,) = arm.after
    if step not in RUNTIMES:
        raise UnknownName("step", step, RUNTIMES, f"after, of the arm {arm.name}")
    return RUNTIMES[step]


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
