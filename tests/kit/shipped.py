"""A small detector that is sure of something, and what is needed to ship it, in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from ablab.export.bundle import Card, Preprocessing, Provenance
from ablab.export.ship import Model
from ablab.measure.seeding import forked
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel, PostprocessRecipe

SIZE, CLASSES = (64, 96), ("cell", "platelet", "<b>")
ANCHORS = np.array([[[6, 8], [10, 6], [12, 14]], [[16, 20], [24, 16], [30, 30]], [[40, 30], [50, 60], [60, 90]]], float)
SETTINGS = PostprocessRecipe(confidence=0.05, iou=0.5, most=20)


def detector(head: str = "anchor", neck: str = "fpn", size: tuple[int, int] = SIZE) -> nn.Module:
    """YOLOv5 of a tenth of its width, whose norms have seen noise and whose scores go from 0 to 1."""
    recipe = DetectionModel.model_validate({"width": 0.05, "depth": 0.1, "head": head, "neck": neck})
    with forked("shipped", head, neck):
        model = build_model(recipe, len(CLASSES), ANCHORS if head == "anchor" else None)
        with torch.no_grad():
            for _ in range(3):
                model.train()(torch.rand(2, 3, *size))
            for name, parameter in model.named_parameters():
                if "head" in name and name.endswith("bias"):
                    parameter += 2.0 * torch.randn_like(parameter) + (3.0 if head == "anchor" else 2.0)
    return model.eval()


def pictures(count: int = 4, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(count, H, W, 3) uint8: noise in squares of 8 pixels, so that no two places look alike."""
    height, width = size
    coarse = np.random.default_rng(7).integers(0, 256, (count, height // 8, width // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def card(**changes: Any) -> Card:
    """All that a bundle says but runtimes and files."""
    provenance = Provenance(
        study="s",
        arm="a",
        seed=0,
        fingerprint="f",
        recipe="r",
        ablab="0",
        manifest="m",
        scores={"validation": {"AP": 0.5}},
        machine="-",
    )
    values: dict[str, Any] = {
        "task": "detection",
        "classes": CLASSES,
        "preprocessing": Preprocessing(image_size=SIZE, fill=114),
        "thresholds": {"threshold": 0.25},
        "postprocess": SETTINGS.model_dump(mode="json"),
        "provenance": provenance,
        "licence": "MIT",
        "metric": "AP",
        "tolerance": 0.001,
    }
    return Card(**values | changes)


def mean_score(model: nn.Module) -> float:
    """In the place of AP: what the best box of each image scores, which suppression leaves as it is."""
    images = torch.from_numpy(pictures()).permute(0, 3, 1, 2)
    decode: Any = model.get_submodule("head").decode
    with torch.inference_mode():
        _, scores = decode(model(images.float() / 255))
    return float(scores.amax(dim=(1, 2)).mean())


def model(folder: Path, **how: Any) -> Model:
    """The detector as `ship` takes it, with a run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    network = detector(**how)
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, folder / "weights.safetensors")
    (folder / "run.json").write_text(
        json.dumps({"arm": {"path": "/home/ada/cells", "lr": "a/b"}, "facts": {}, "settings": {}})
    )
    return Model(network, pictures(), mean_score, folder)
