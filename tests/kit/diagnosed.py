"""A diagnosis made of real readings on hand-made evidence, as `ablab diagnose` leaves it on disk.

The detector finds most of three kinds of objects, misplaces and misnames some, and train lacks the third kind. The
network is three convolutions with dead units. The training is drawn by hand. A title and a class would break a page
that does not escape them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from ablab.contracts import Items, Panel
from ablab.diagnose.document import as_document, write, write_files
from ablab.diagnose.network.activity import activities, activity_findings
from ablab.diagnose.network.effective import effective_fields
from ablab.diagnose.network.pictures import draw_maps, feature_maps
from ablab.diagnose.network.receptive import receptive_fields
from ablab.diagnose.network.scale import scales
from ablab.diagnose.network.sight import sights
from ablab.diagnose.network.timing import layer_times
from ablab.diagnose.network.unused import unused_channels, unused_findings
from ablab.diagnose.training.chapter import read_training
from ablab.engine.range_test import read
from ablab.findings import Case, Chapter, Proposal
from ablab.records import RunKey, RunRecord
from ablab.study.design import BASELINE, Arm
from ablab.study.spec import Judge
from ablab.tasks.detection.boxes import Annotation, Detections, Truth, area
from ablab.tasks.detection.diagnosis.data_chapter import data_chapter
from ablab.tasks.detection.diagnosis.error_chapter import error_chapter
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.metrics.meter import DetectionMeter
from ablab.tasks.detection.recipe import DetectionRecipe

CLASSES = ("cell", "seed", "</style><script>alert(1)</script>")
WIDTH, HEIGHT, TRAIN, VALIDATION = 160, 120, 20, 40
SCORES = {"AP": 0.412, "AP50": 0.731, "precision": 0.8, "recall": 0.7, "F1": 0.746}
RECORD = RunRecord(RunKey("cells", "baseline", 1, "0a"), "done", scores={"validation": SCORES})
ANCHORS = np.array([[[4, 6], [9, 7], [12, 14]], [[20, 24], [30, 18], [36, 40]], [[60, 50], [80, 90], [99, 99]]], float)


@dataclass
class Run:
    """What of a patient the document wants."""

    place: Path
    record: RunRecord = RECORD
    split: str = "validation"
    judge: Judge = field(default_factory=lambda: Judge(metric="AP50"))
    settings: dict[str, float] = field(default_factory=lambda: {"threshold": 0.35})
    arm: Arm = field(default_factory=lambda: Arm(BASELINE, "baseline", "", DetectionRecipe()))
    notes: tuple[str, ...] = ()


def build(folder: Path) -> dict[str, Any]:
    """The diagnosis; all but the page is written into `folder`."""
    dataset = _dataset(folder.with_name(f"{folder.name}-images"))
    goals = {"recall at precision": 0.8, "false positives per image": 0.5}
    case = Case(
        {"validation": _evidence(dataset, 1)},
        {"threshold": 0.35},
        "validation",
        folder,
        against=(_evidence(dataset, 2, 0.8), {}),
        goals=goals,
        replicates=40,
    )
    chapters = [error_chapter(case, dataset), data_chapter(case, dataset, (96, 128), ANCHORS), _network(), _training()]
    costs = {"larger-input": {"parameters": 1.0, "flops": 2.4, "latency_ms": 1.83, "train_seconds": 2.1}}
    made = as_document(Run(folder), chapters, _proposals(chapters), costs, ["left out 'deeper', which cannot be built"])  # type: ignore[arg-type]
    write_files(folder, chapters)
    write(folder, made)
    return made


def _objects(image: int) -> tuple[np.ndarray, np.ndarray]:
    """Up to eight boxes and their classes, the third of which train has not.  -> (N, 4), (N,)"""
    rng = np.random.default_rng([7, image])
    size = np.exp(rng.normal(2.9, 0.5, (rng.integers(2, 9), 2))).clip(4, 100)
    corner = rng.uniform(0, 1, size.shape) * (np.array([WIDTH, HEIGHT]) - size)
    shares = (0.7, 0.3, 0.0) if image < TRAIN else (0.6, 0.3, 0.1)
    return np.concatenate([corner, corner + size], axis=1), rng.choice(3, len(size), p=shares)


def _dataset(folder: Path) -> Dataset:
    """Grey noise with a square an object; the first image of validation is one of train's."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for image in range(TRAIN + VALIDATION):
        same = 0 if image == TRAIN else image
        boxes, labels = _objects(same)
        pixels = np.random.default_rng([8, same]).integers(90, 160, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        for (x1, y1, x2, y2), label in zip(boxes.astype(int).tolist(), labels.tolist(), strict=True):
            pixels[y1:y2, x1:x2, label] = 230
        path = folder / f"i{image:03}.png"
        Image.fromarray(pixels).save(path)
        none = np.zeros(len(labels), bool)
        images.append(Annotation(path.stem, path, WIDTH, HEIGHT, boxes, labels, none, none))
    return Dataset("cells", CLASSES, {"train": tuple(images[:TRAIN]), "validation": tuple(images[TRAIN:])})


def _evidence(dataset: Dataset, seed: int, weaker: float = 1.0) -> Items:
    """Detections of nine in ten objects of validation, some of them badly placed or named, and noise."""
    meter = DetectionMeter(CLASSES)
    for row, image in enumerate(dataset.splits["validation"]):
        rng = np.random.default_rng([seed, row])
        boxes, labels = image.boxes, image.labels
        seen = rng.random(len(boxes)) < 0.9
        noise, named = _objects(1000 + row)
        placed = boxes[seen] + rng.normal(0, 0.07, (seen.sum(), 4)) * np.tile(boxes[seen, 2:] - boxes[seen, :2], 2)
        wrong = np.where(rng.random(seen.sum()) < 0.93, labels[seen], rng.integers(0, 3, seen.sum()))
        score = np.concatenate([rng.beta(6, 2, seen.sum()), rng.beta(2, 6, len(noise))]) * weaker
        order = np.argsort(-score)
        found = [np.concatenate(pair)[order] for pair in ((placed, noise), (wrong, named))]
        none = np.zeros(len(boxes), bool)
        truth = Truth(image.id, boxes, labels, area(boxes), none, none, group=image.id)
        meter.update([Detections(found[0], score[order], found[1].astype(np.int64))], [truth])
    return meter.items()


class _Net(nn.Module):
    """Three convolutions, two of which give a map; half of the first never fires."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.fine = nn.Conv2d(8, 16, 3, 2, 1)
        self.coarse = nn.Conv2d(16, 16, 3, 2, 1)
        self.act = nn.ReLU()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.linspace(-0.4, 0.5, parameter.numel()).sin().view_as(parameter))
            self.stem.bias[:4] = -50  # type: ignore[index]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        fine = self.act(self.fine(self.act(self.stem(x))))
        return [fine, self.coarse(fine)]


def _network() -> Chapter:
    net, rng = _Net().eval(), np.random.default_rng(3)
    images = torch.from_numpy(rng.random((2, 3, 64, 64))).float()
    theory, heard = receptive_fields(net, images[:1]), effective_fields(net, images)
    sizes = np.exp(rng.normal(2.9, 0.5, (200, 2)))
    active, unused = activities(net, [images]), unused_channels(net, [images])
    numbers = {
        "receptive": [asdict(each) for each in theory],
        "effective": [{"name": each.name, "side": each.side} for each in heard],
        "sight": [asdict(each) for each in sights(theory, heard, sizes)],
        "objects": [[q, float(np.quantile(sizes.max(axis=1), q))] for q in (0.05, 0.25, 0.5, 0.75, 0.95)],
        "activity": [asdict(each) for each in active],
        "scales": [
            asdict(each) for each in scales(net, images, lambda m, batch: sum(y.square().mean() for y in m(batch)))
        ],
        "unused": [asdict(each) for each in unused],
        "timing": asdict(layer_times(net, images[:1], 2, warmup=1)),
    }
    panel = Panel(
        'feature maps: "fine" <b>', "The channels that vary most.", draw_maps(feature_maps(net, images[:1], "fine"))
    )
    findings = (*activity_findings(active), *unused_findings(unused))
    return Chapter("network", numbers, findings, (panel,), notes=("nothing was timed on a GPU",))


def _training() -> Chapter:
    epochs, rates = np.arange(1, 13), np.geomspace(1e-6, 1, 60)
    losses = 3 - 1.5 / (1 + (1e-3 / rates)) + 2 * (rates > 0.2) * rates + 0.02 * np.sin(np.arange(60) * 7)
    history = {
        "epoch": epochs.tolist(),
        "lr": (0.03 * np.cos(epochs / 13 * np.pi / 2)).tolist(),
        "loss": (1.2 + 2 / epochs).tolist(),
        "box": (0.5 + 0.6 / epochs).tolist(),
        "objectness": (0.4 + 0.8 / epochs).tolist(),
        "classification": (0.3 + 0.6 / epochs).tolist(),
        "gradient norm": (2 + np.sin(epochs)).tolist(),
        "waiting": [0.06, *[0.02] * 11],
        "validation/AP50": [float("nan"), *(0.7 * (1 - 1 / epochs[1:])).tolist()],
    }
    luck = np.random.default_rng(5).normal(0.7, 0.02, (3, 3))
    study = {arm: dict(enumerate(row)) for arm, row in zip("abc", luck.tolist(), strict=True)}
    return read_training(history, RECORD, DetectionRecipe(), "AP50", "max", read(rates, losses, 0.9), study)


def _proposals(chapters: list[Chapter]) -> list[Proposal]:
    """One of each kind: a setting with a bound and a price, one without, an edit, and something to do."""
    faults = {each.name: (each.findings[0].fault,) for each in chapters if each.findings}
    lower = {"optimizer.lr": 0.005}
    size = {"train.image_size": [192, 256]}
    edit = ({"op": "insert", "after": "backbone.out", "part": "cbam"},)
    return [
        Proposal("lower-rate", "the loss is least at 0.01", faults["network"], lower),
        Proposal("larger-input", "12% are below 8 pixels", faults["data"], size, (), "", 0.0812, "AP50", "all found"),
        Proposal("cbam", "attention: a <i>try</i>", faults["errors"], edits=edit),
        Proposal(
            "labels", "a class that is never seen is never learnt", faults["data"], todo="Label it: suspects.csv."
        ),
    ]
