"""The chapter "network": what a trained network can see, what of it works, and where its time goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablab.contracts import Batch, Panel, Task
from ablab.diagnose.network.activity import activities, activity_findings
from ablab.diagnose.network.cam import class_activation
from ablab.diagnose.network.effective import EffectiveField, effective_fields
from ablab.diagnose.network.pictures import draw_field, draw_heat, draw_maps, feature_maps
from ablab.diagnose.network.receptive import ReceptiveField, receptive_fields
from ablab.diagnose.network.running import watched
from ablab.diagnose.network.scale import scale_findings, scales
from ablab.diagnose.network.sight import sight_findings, sights
from ablab.diagnose.network.timing import layer_times
from ablab.diagnose.network.unused import unused_channels, unused_findings
from ablab.engine.events import Events, working
from ablab.errors import AblabError
from ablab.findings import Chapter, Finding
from ablab.measure.forward import still, tensors

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PLACES = 4  # modules whose maps are drawn: the last convolution of each resolution, the coarsest ones


def read_network(task: Task, model: nn.Module, batches: Sequence[Batch], events: Events) -> Chapter:
    """Read a trained network in fp32 on the CPU, over a few batches without augmentation.

    What a reading cannot do with a network (no map comes out, a part without a gradient) becomes a note.
    """
    reader = _Reader(task, model.float().cpu(), batches)
    steps = (reader.fields, reader.activity, reader.scale, reader.unused, reader.timing, reader.pictures)
    with working(events, "read the network", len(steps)):
        for done, step in enumerate(steps, start=1):
            try:
                step()
            except AblabError as error:
                reader.notes.append(f"{step.__name__} could not be read: {error}")
            events.advance(done, {})
    return Chapter("network", reader.numbers, tuple(reader.findings), tuple(reader.panels), notes=tuple(reader.notes))


class _Reader:
    """One reading after another; each adds its numbers, findings and pictures."""

    def __init__(self, task: Task, model: nn.Module, batches: Sequence[Batch]) -> None:
        self.task, self.model, self.batches = task, model, batches
        self.images = [batch["images"].float() / 255 for batch in batches]
        self.numbers: dict[str, Any] = {}
        self.findings: list[Finding] = []
        self.panels: list[Panel] = []
        self.notes: list[str] = []

    def fields(self) -> None:
        """Receptive fields, theoretical and effective, against the objects' sizes."""
        theoretical = receptive_fields(self.model, self.images[0][:1])
        effective = effective_fields(self.model, self.images[0])
        self.numbers["receptive"] = [asdict(field) for field in theoretical]
        self.numbers["effective"] = [{"name": field.name, "side": field.side} for field in effective]
        self._held_against_objects(theoretical, effective)
        for field in effective:
            if field.side:
                said = f"What the middle cell of {field.name} listens to: 95% of it within {field.side} pixels."
                self.panels.append(Panel(f"effective field: {field.name}", said, draw_field(field.energy)))

    def _held_against_objects(self, fields: Sequence[ReceptiveField], effective: Sequence[EffectiveField]) -> None:
        sizes = self.task.targets()
        if not len(sizes):
            return
        found = sights(fields, effective, sizes)
        longer = np.quantile(sizes.max(axis=1), QUANTILES)
        self.numbers["sight"] = [asdict(sight) for sight in found]
        self.numbers["objects"] = [[q, float(side)] for q, side in zip(QUANTILES, longer, strict=True)]
        self.findings += sight_findings(found)

    def activity(self) -> None:
        """Dead units and saturated gates."""
        found = activities(self.model, self.images)
        self.numbers["activity"] = [asdict(each) for each in found]
        self.findings += activity_findings(found)

    def scale(self) -> None:
        """How large signals and gradients are."""
        found = scales(self.model, self.batches[0], lambda model, batch: self.task.step(model, batch).loss)
        self.numbers["scales"] = [asdict(each) for each in found]
        self.findings += scale_findings(found)

    def unused(self) -> None:
        """Channels without use."""
        found = unused_channels(self.model, self.images)
        self.numbers["unused"] = [asdict(each) for each in found]
        self.findings += unused_findings(found)

    def timing(self) -> None:
        """Where the time goes, at batch 1."""
        self.numbers["timing"] = asdict(layer_times(self.model, self.images[0][:1]))

    def pictures(self) -> None:
        """Feature maps at each resolution, and what speaks for the surest score."""
        image = self.images[0][:1]
        shown = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
        for place in _places(self.model, image):
            said = f"The channels of {place} that vary most on one image, each from its least to its most."
            drawn = draw_maps(feature_maps(self.model, image, place))
            self.panels.append(Panel(f"feature maps: {place}", said, drawn))
            with suppress(AblabError):  # a place that the surest score does not depend on has no such picture
                heat = class_activation(self.model, image, place, self._surest())
                said = f"What of {place} speaks for the surest score (Grad-CAM)."
                if heat.any():  # else nothing there does
                    self.panels.append(Panel(f"class activation: {place}", said, draw_heat(shown, heat)))

    def _surest(self) -> Callable[[Any], Tensor]:
        return lambda output: self.task.surest(self.model, output)


def _places(model: nn.Module, image: Tensor, most: int = PLACES) -> list[str]:
    """The last convolution of each resolution that is not itself the network's output, the finest first."""
    last: dict[int, str] = {}
    sides: dict[str, tuple[int, Tensor]] = {}

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] > 1:
            sides.pop(name, None)  # so that names stand in the order of their last calls
            sides[name] = (output.shape[2], output)

    convolutions = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    with watched(convolutions, note), still(model), torch.no_grad():
        given = {id(tensor) for tensor in tensors(model(image))}
    for name, (side, output) in sides.items():
        if id(output) not in given:
            last[side] = name
    return [last[side] for side in sorted(last)[:most][::-1]]


def first_batches(task: Task, samples: Any, size: int, count: int) -> Iterable[Batch]:
    """The first batches of a split, of at most `size` samples each."""
    for start in range(0, min(count * size, len(samples)), size):
        yield task.collate([samples[0, row] for row in range(start, min(start + size, len(samples)))])
