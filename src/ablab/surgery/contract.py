"""What a slot promises, as checks that run: on every part of ours, before a study, and on a user's own part."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import ConfigError, ContractError, suggest
from ablab.measure.seeding import forked
from ablab.registry import Entry
from ablab.surgery import (
    assigner_promises,
    augmentation_promises,
    backbone_promises,
    conv_promises,
    dropout_promises,
    initialisation_promises,
    loss_promises,
    map_promises,
    norm_promises,
    optimizer_promises,
    sampler_promises,
    upsample_promises,
    wrapper_promises,
)
from ablab.surgery.liveness import every_argument_counts
from ablab.surgery.specimen import Specimen, specimen

Promise = Callable[[Specimen], None]

_MAPS: tuple[Promise, ...] = (
    map_promises.shape_kept,
    map_promises.finite,
    map_promises.gradient_goes_on,
    map_promises.gradient_reaches_every_parameter,
    map_promises.one_sample_does_not_depend_on_its_batch,
)
PROMISES: dict[str, tuple[Promise, ...]] = {
    "activation": (*_MAPS, map_promises.dtype_kept, map_promises.finite_far_out, map_promises.gradient_is_right),
    "attention": _MAPS,
    "conv": (
        conv_promises.shape_is_a_convolutions,
        conv_promises.fused_form_gives_the_same,
        *_MAPS[1:],
        map_promises.dtype_kept,
    ),
    "upsample": (upsample_promises.twice_as_fine, *_MAPS[1:], map_promises.dtype_kept),
    "norm": (
        norm_promises.shape_kept_or_refused,
        norm_promises.finite_on_a_flat_map,
        *_MAPS[1:],
        map_promises.dtype_kept,
        map_promises.finite_far_out,
        map_promises.gradient_is_right,
    ),
    "dropout": (
        map_promises.shape_kept,
        map_promises.gradient_reaches_every_parameter,
        dropout_promises.identity_in_evaluation,
        dropout_promises.mean_kept,
        dropout_promises.equal_seeds_draw_alike,
        dropout_promises.dtype_kept_in_training,
    ),
    "wrapper": (
        wrapper_promises.inner_is_called,
        wrapper_promises.inner_keeps_its_arguments,
        *_MAPS,
        map_promises.dtype_kept,
    ),
    "backbone": (
        backbone_promises.declared_channels_and_strides_are_measured,
        backbone_promises.gradient_reaches_every_parameter,
        backbone_promises.one_sample_does_not_depend_on_its_batch,
    ),
    "box_loss": (
        loss_promises.one_loss_a_box,
        loss_promises.zero_at_identity,
        loss_promises.nearer_box_costs_less,
        loss_promises.gradient_when_disjoint,
        loss_promises.no_box_stays_in_the_graph,
    ),
    "class_loss": (
        loss_promises.one_loss_a_logit,
        loss_promises.wrong_costs_more_than_right,
        loss_promises.finite_far_out,
    ),
    "distribution_loss": (
        loss_promises.one_loss_a_distribution,
        loss_promises.zero_where_the_distribution_is_right,
        loss_promises.nearer_costs_less,
        loss_promises.no_distribution_stays_in_the_graph,
    ),
    "assigner": (
        assigner_promises.no_object_works,
        assigner_promises.indices_in_range,
        assigner_promises.order_does_not_matter,
    ),
    "augmentation": (
        augmentation_promises.image_keeps_its_size_and_type,
        augmentation_promises.boxes_stay_valid_and_in_the_image,
        augmentation_promises.labels_stay_with_their_boxes,
        augmentation_promises.input_is_left_as_it_is,
        augmentation_promises.equal_generators_draw_alike,
    ),
    "initialisation": (
        initialisation_promises.drawn_in_place,
        initialisation_promises.what_was_there_does_not_matter,
        initialisation_promises.layout_does_not_matter,
    ),
    "optimizer": (
        optimizer_promises.lowers_the_loss,
        optimizer_promises.rate_counts,
        optimizer_promises.weight_decay_acts_on_its_group,
        optimizer_promises.what_has_no_gradient_stays,
        optimizer_promises.state_goes_to_another,
    ),
    "sampler": (
        sampler_promises.indices_in_range,
        sampler_promises.every_epoch_as_long_as_declared,
        sampler_promises.equal_generators_draw_alike,
    ),
}


# How each slot calls a part, which a part that was written for another slot fails at.
CALLS = {
    "activation": "part(x) with a map (B, C, H, W), and takes back one of that shape",
    "attention": "part(x) with a map (B, C, H, W), and takes back one of that shape",
    "conv": "part(x) with a map (B, in, H, W), and takes back one of nn.Conv2d's shape",
    "upsample": "part(x) with a map (B, C, H, W), and takes back (B, C, 2H, 2W)",
    "norm": "part(x) with a map (B, C, H, W), and takes back one of that shape",
    "dropout": "part(x) with a map (B, C, H, W), and takes back one of that shape",
    "wrapper": "part(x) with whatever the module takes that it stands around, and takes back its shape",
    "backbone": "part(images) with (B, 3, H, W), and takes back three maps",
    "box_loss": "part(boxes, targets) with (N, 4) each, and takes back (N,)",
    "class_loss": "part(logits, targets) with (*) each, and takes back (*)",
    "distribution_loss": "part(logits, distances) with (N, 4, bins) and (N, 4), and takes back (N,)",
    "assigner": "part(objects, grid, predict), and takes back an Assignment",
    "augmentation": "part(sample, rng) with a Sample and a numpy Generator, and takes back a Sample",
    "initialisation": "part(weight) with a tensor (out, in, ...), and takes back nothing",
    "optimizer": "part(params, lr, ...), and takes back a torch.optim.Optimizer",
    "sampler": "part(counts) with objects (images, classes), and takes back a Sampling",
}


@dataclass(frozen=True)
class Broken:
    """Why a promise does not hold: what came, what to do, and the line of the part's own file where it crashed."""

    came: str
    advice: str = ""
    where: str = ""
    crashed: bool = False

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.came}{place}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Check:
    """One promise, to be held by one part. Calling it raises ContractError where the part breaks it."""

    entry: Entry
    promise: Promise

    @property
    def name(self) -> str:
        """The promise in words."""
        return self.promise.__name__.replace("_", " ")

    def __str__(self) -> str:
        return f"{self.entry.slot}/{self.entry.name}: {self.name}"

    def __call__(self) -> None:
        broken = self.broken()
        if broken:
            raise ContractError(f"{self}? {'It' if broken.crashed else 'No:'} {broken}")

    def broken(self) -> Broken | None:
        """How the part breaks the promise; None where it keeps it."""
        try:
            with forked("contract", self.entry.slot, self.entry.name):
                self.promise(specimen(self.entry))
        except (ContractError, ConfigError) as error:
            return told(error)
        except Exception as error:
            return Broken(
                f"failed with {type(error).__name__}: {error}",
                f"the slot '{self.entry.slot}' calls {CALLS[self.entry.slot]}",
                _where(error, self.entry),
                crashed=True,
            )
        return None


def told(error: Exception) -> Broken:
    """A message, `what came; what to do`, in its two parts."""
    came, _, advice = str(error).rpartition("; ")
    return Broken(came, advice) if came else Broken(advice)


def _where(error: Exception, entry: Entry) -> str:
    """The last line of the file that the part is written in which the error came through."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(entry.build))
    except TypeError:
        return ""
    lines = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
    return f"{Path(lines[-1].filename).name}, line {lines[-1].lineno}: {lines[-1].line}" if lines else ""


def checks(entry: Entry) -> list[Check]:
    """Every check of the part's slot. Raises ConfigError for a slot that promises nothing."""
    if entry.slot not in PROMISES:
        raise ConfigError(f"no contract for the slot '{entry.slot}'{suggest(entry.slot, PROMISES)}")
    return [Check(entry, promise) for promise in (*PROMISES[entry.slot], every_argument_counts)]


def check(entry: Entry) -> None:
    """Hold a part to the contract of its slot.

    Raises ContractError that says which promises it breaks and what to do; ConfigError for a slot that has none.
    """
    try:
        specimen(entry)
    except ContractError as error:
        raise ContractError(f"{entry.slot}/{entry.name}: {error}") from None
    broken = []
    for one in checks(entry):
        try:
            one()
        except ContractError as error:
            broken.append(str(error))
    if broken:
        raise ContractError("\n".join(broken))
