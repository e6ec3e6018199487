"""Parts that see images, objects or whole data sets."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import torch

from ablab import registry
from ablab.catalogue.photograph import BOXES, NAMES, photograph, square
from ablab.catalogue.pictures.style import TITLE
from ablab.errors import ConfigError
from ablab.reports.canvas import PALETTE, THEME
from ablab.reports.numerals import listing
from ablab.streams import stream
from ablab.surgery import sampler_promises
from ablab.surgery.specimen import Specimen, specimen

BRIGHT = ("#56b4e9", "#f0e442", "#ff9d5c")  # on a photograph: saucer, cup, spoon
ANCHORS = [[[40.0, 60], [80, 80]], [[110, 200], [180, 150]], [[240, 290], [400, 330]]]


def _photo(axes: Any, image: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(image)
    for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec="black", lw=3))
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=BRIGHT[label], lw=1.7))
    axes.set_axis_off()


def augmentation(figure: Any, part: Specimen) -> str:
    """The photograph as it is, and after five draws."""
    figure.set_size_inches(10, 5.9)
    axes = figure.subplots(2, 3).ravel()
    figure.subplots_adjust(left=0.02, right=0.98, top=0.82, bottom=0.07, hspace=0.13, wspace=0.03)
    given = {"probability": 1.0} if "probability" in part.entry.arguments else {}
    room: Any = import_module(registry.SLOTS["augmentation"])
    labels, none = np.arange(len(BOXES)), np.zeros(len(BOXES), bool)
    sides = BOXES[:, 2:] - BOXES[:, :2]
    truth = room.Truth("coffee", BOXES, labels, sides.prod(axis=1), none, none)
    before = room.Sample("coffee", photograph(), BOXES, labels, truth, photograph().shape[:2])
    build = part.build(**given)
    for draw, each in enumerate(axes):
        sample = build(replace(before), stream("picture", part.entry.name, draw)) if draw else before
        _photo(each, sample.image, sample.boxes, sample.labels)
        gone = [NAMES[label] for label in labels if label not in sample.labels]
        words = f"draw {draw}" + (f", {listing(gone)} dropped" if gone else "") if draw else "before"
        each.set_title(words, **TITLE, pad=3)
    always = "with probability 1, else by default" if given else "by default"
    return f"{always}; boxes: {', '.join(NAMES)}. Photograph: scikit-image's coffee (CC0, Rachel Michetti)."


def assigner(figure: Any, part: Specimen) -> str:
    """The cells that answer for the objects of the photograph, one panel a level."""
    figure.set_size_inches(10, 3.6)
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.7, bottom=0.09, wspace=0.03)
    room: Any = import_module(registry.SLOTS["assigner"])
    image = photograph()[:384, :576]
    boxes = torch.from_numpy(BOXES.clip(0, [576, 384] * 2)).float()
    labels, strides = torch.arange(len(boxes)), (8, 16, 32)
    objects = room.Objects(boxes, labels, torch.zeros_like(labels))
    grid, pairs = _assigned(part, room, objects, strides)
    centres, level = grid.centres(), np.searchsorted(np.cumsum(grid.counts), pairs.place.numpy(), side="right")
    for number, (each, stride) in enumerate(zip(axes, strides, strict=True)):
        _photo(each, (image * 0.55).astype(np.uint8), boxes.numpy(), labels.numpy())
        here = level == number
        at, owner = centres[pairs.place[here]], pairs.object[here]
        shade = [BRIGHT[label] for label in owner.tolist()]
        each.scatter(
            *at.T.numpy(), s=6 + 34 * pairs.score[here].numpy(), c=shade, edgecolors="black", linewidths=0.6, zorder=3
        )
        each.set_title(f"stride {stride}: {int(here.sum())} pairs", **TITLE, pad=3)
        each.set_xlim(0, 576)
        each.set_ylim(384, 0)
    head = "with anchors" if grid.anchors is not None else "without anchors; predictions as the grid's own squares"
    return f"A head {head}. A dot is a cell that answers, its size the pair's score, its colour the object's."


def _assigned(part: Specimen, room: Any, objects: Any, strides: tuple[int, ...]) -> tuple[Any, Any]:
    """On a grid without anchors, or with them where it wants some. Predictions are squares of eight cells."""
    sizes = tuple((384 // stride, 576 // stride) for stride in strides)
    for anchors in (None, torch.tensor(ANCHORS)):
        grid = room.Grid(strides, sizes, torch.device("cpu"), anchors)
        half = 4 * grid.pitch()
        near = torch.cat((grid.centres() - half, grid.centres() + half), dim=1)[None]
        said = room.Predictions(near, torch.full((1, grid.count, len(NAMES)), 0.5))
        try:
            return grid, part.build()(objects, grid, lambda said=said: said)
        except ConfigError as error:
            refused = error
    raise refused


def sampler(figure: Any, part: Specimen) -> str:
    """How many images of each class an epoch shows, against one that shows each image once."""
    figure.set_size_inches(10, 4.2)
    axes = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.75, bottom=0.2, wspace=0.16)
    counts = np.resize(sampler_promises.counts(), (600, 4))
    plain = specimen(registry.get("shuffle", "sampler")).build()
    for number, (build, colour, label) in enumerate(
        ((plain, THEME["rule"], "shuffle"), (part.build(), PALETTE[0], part.entry.name))
    ):
        sampling = build(counts)
        drawn = np.concatenate([sampling.draw(stream("picture", epoch)) for epoch in range(20)])
        shares = [(counts[drawn, kind] > 0).mean() for kind in range(3)]
        axes[0].bar(np.arange(3) + 0.4 * number, shares, 0.36, color=colour, label=label)
        shown = np.bincount(drawn, minlength=len(counts)) / 20
        axes[1].plot(np.sort(shown)[::-1], color=colour, lw=2, label=f"{label}: {len(sampling):,} an epoch")
    axes[0].set_xticks(np.arange(3) + 0.2, ["common", "in a third", "rare"])
    axes[0].set_title("share of the images of an epoch that hold the class", **TITLE)
    axes[0].legend(frameon=False, fontsize=9.5)
    axes[1].set_title("times an epoch shows each image, most shown first", **TITLE)
    axes[1].set_ylim(bottom=0)
    axes[1].legend(frameon=False, fontsize=9.5)
    return "600 images: one class in nearly all, one in a third, one in 20. Means of 20 epochs."


def backbone(figure: Any, part: Specimen) -> str:
    """The photograph and the three maps, their mean strength and three channels each."""
    figure.set_size_inches(10, 6.6)
    axes = figure.subplots(3, 5)
    figure.subplots_adjust(left=0.05, right=0.98, top=0.84, bottom=0.07, hspace=0.12, wspace=0.05)
    module = part.build().eval()
    image = square(320)
    with torch.no_grad():
        maps = module(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    for row, (y, stride) in enumerate(zip(maps, module.strides, strict=True)):
        strength = y[0].abs().mean(0)
        lively = y[0].flatten(1).std(dim=1).argsort(descending=True)[:3]
        axes[row, 0].imshow(image)
        axes[row, 1].imshow(strength.numpy(), cmap="magma", interpolation="nearest")
        for column, channel in enumerate(lively.tolist()):
            most = max(float(y[0, channel].abs().max()), 1e-6)
            axes[row, 2 + column].imshow(
                y[0, channel].numpy(), cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest"
            )
            axes[row, 2 + column].set_title(f"channel {channel}" if row == 0 else "", fontsize=9.5)
        axes[row, 0].set_ylabel(f"stride {stride}, {y.shape[1]} channels", fontsize=9.5, color=THEME["ink"])
    for each, title in zip(axes[0, :2], ("image, 320 x 320", "mean strength"), strict=True):
        each.set_title(title, fontsize=9.5)
    for each in axes.ravel():
        each.set_xticks([])
        each.set_yticks([])
        for spine in each.spines.values():
            spine.set_visible(False)
    return "Weights as drawn, not trained; the three channels that vary most."
