"""A small training a fault and seed: photo-digits, three classes, YOLOv5n at 128 pixels, as in `ablab demo`.

Each seed has scenes, faults and initial weights of its own. What is finished is not done again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ablab.engine.events import Silent
from ablab.streams import stream
from ablab.study.build import build
from ablab.study.design import BASELINE, Arm
from ablab.study.single import read_recipe, train
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.photo_digits import compose
from ablab.tasks.detection.formats.writing import WRITERS, put_by
from ablab.tasks.detection.recipe import DetectionData
from ablab.tasks.detection.task import Detection
from planted import faults

SIZE, SCENES = 128, (1200, 200, 200)
EPOCHS = 5
RECIPE: dict[str, Any] = {
    "loss": {"box_gain": 0.5},
    "optimizer": {"name": "adamw", "lr": 3.0e-3},
    "augment": {
        "mosaic": 0, "flip": 0, "scale": 0.1, "translate": 0.05, "hue": 0, "saturation": 0, "value": 0
    },
    "train": {"epochs": EPOCHS, "image_size": SIZE, "batch": 8, "threads": 1},
}  # fmt: skip
LABELS = ("shifted", "misnamed", "without class", "leaked")
FAULTS = ("clean", *LABELS, "too small", "dead", "too fast", "too large")


def trained(fault: str, seed: int, root: Path) -> Path:
    """The folder of a training with that fault, under `root`."""
    home = root / f"{fault.replace(' ', '-')}-{seed}"
    if (home / "done").is_file():
        return Path((home / "done").read_text())
    data = _data(fault if fault in LABELS else "clean", seed, root / "data")
    changes = _flat(RECIPE) | {"data.path": str(data)} | _changes(fault, seed, data, home)
    _, place = train(None, changes, seed, home, [], Silent())
    (home / "done").write_text(str(place))
    return place


def _data(fault: str, seed: int, root: Path) -> Path:
    """The scenes of a seed on disk, in COCO's layout."""
    place = root / f"{fault.replace(' ', '-')}-{seed}"
    if place.is_dir():
        return place
    classes, splits = compose(DetectionData(classes=3, size=SIZE, scenes=SCENES, seed=1000 + seed), lambda *at: None)
    rng = stream("planted", fault, seed)
    plant = {"shifted": faults.shifted, "misnamed": faults.misnamed, "without class": faults.without_class}
    if fault in plant:
        splits = plant[fault](splits, rng)
    elif fault == "leaked":
        splits = faults.leaked(splits, rng, root / f"copies-{seed}")
    half = place.with_name(f".{place.name}")
    shutil.rmtree(half, ignore_errors=True)
    WRITERS["coco"](Layout("coco", half, classes, splits), half, put_by(link=True))
    half.rename(place)
    return place


def _changes(fault: str, seed: int, data: Path, home: Path) -> dict[str, Any]:
    """What the faults of recipes and weights set."""
    if fault == "too small":
        return dict(faults.too_small())
    if fault == "too fast":
        return dict(faults.too_fast(RECIPE))
    recipe = read_recipe(None, _flat(RECIPE) | {"data.path": str(data)})
    task = Detection(recipe)
    if fault == "too large":
        return dict(faults.too_large(task.dataset.splits, SIZE, stream("planted", fault, seed)))
    if fault == "dead":
        made, held = faults.dead(
            build(task, Arm(BASELINE, "baseline", "", recipe, stream="train"), seed).model.state_dict()
        )
        home.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in made.items()}, home / "start.safetensors")
        return {"start.weights": str(home / "start.safetensors"), "train.freeze": held}
    return {}


def _flat(tree: dict[str, Any], head: str = "") -> dict[str, Any]:
    """{"train": {"epochs": 5}} -> {"train.epochs": 5}"""
    made: dict[str, Any] = {}
    for name, value in tree.items():
        made |= _flat(value, f"{head}{name}.") if isinstance(value, dict) else {head + name: value}
    return made
