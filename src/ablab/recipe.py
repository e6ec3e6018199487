"""The recipe: the full, typed description of one training; and the change: a named edit of it.

A task extends `Recipe` with its own sections (`tasks/detection/recipe.py` adds `loss`, `augment` and `postprocess`).

    recipe ---- set ----> recipe'      dotted paths, checked when read
    network --- edits --> network'     module surgery, checked before anything trains
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ablab.config import Config
from ablab.errors import suggest


class PartSpec(Config):
    """A part by name, with its arguments.  `focal` is short for `{part: focal, args: {}}`."""

    part: str
    args: dict[str, Any] = Field(default_factory=dict)


Part = Annotated[PartSpec, BeforeValidator(lambda value: {"part": value} if isinstance(value, str) else value)]


@dataclass(frozen=True)
class Slot:
    """Of which slot a field's parts are: `box: Annotated[Part, Slot("box_loss")]`."""

    name: str


def parts(recipe: Config) -> list[tuple[str, str]]:
    """The slot and the name of every part that a recipe's fields name."""
    found = []
    for name, field in type(recipe).model_fields.items():
        value = getattr(recipe, name)
        for slot in (each.name for each in field.metadata if isinstance(each, Slot)):
            found += [(slot, each.part) for each in (value if isinstance(value, list) else [value]) if each]
        if isinstance(value, Config):
            found += parts(value)
    return found


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]], BeforeValidator(_pair)
]  # (H, W)


class ModelRecipe(Config):
    """Which network."""

    name: str = "yolov5"
    size: str = "n"


class DataRecipe(Config):
    """Which data set: a folder, or the name of an embedded one (`photo-digits`)."""

    path: str


class OptimizerRecipe(Config):
    """A part of the slot `optimizer`. Decay acts on tensors of two or more dimensions only.

    `momentum` is how much of the last direction is kept: of sgd and rmsprop, and the first beta of adam and its kin.
    `args` are the part's other arguments. What an optimizer makes no use of is refused where it is built.
    `rates` multiplies the learning rate by parameter name: `{"backbone.*": 0.1}`; the first glob that matches counts.
    """

    name: str = "adamw"
    lr: float = Field(default=2e-3, gt=0)
    momentum: float | None = Field(default=None, ge=0, lt=1, description="null: the part's own, mostly 0.9")
    weight_decay: float = Field(default=5e-4, ge=0)
    args: dict[str, Any] = Field(default_factory=dict)
    rates: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict, description="glob: factor")


class ScheduleRecipe(Config):
    """Linear warm-up to the peak rate, then one of five ways on, all of them functions of the share of steps done.

    cosine, linear   down to `final` times the peak            constant       stays
    step             times `factor` at each of `milestones`    warm-restart   `cycles` cosines, each `growth` longer
    one-cycle        up for `warmup` along a cosine, down along another (Smith & Topin 2018)
    """

    name: Literal["cosine", "linear", "constant", "step", "one-cycle", "warm-restart"] = "cosine"
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of all steps")
    final: float = Field(default=0.01, ge=0, le=1)
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.6, 0.85), description="shares")
    factor: float = Field(default=0.1, gt=0, le=1)
    cycles: int = Field(default=3, ge=1)
    growth: float = Field(default=1.0, ge=1)

    @model_validator(mode="after")
    def _used(self) -> ScheduleRecipe:
        mine = {"step": {"milestones", "factor"}, "constant": set(), "warm-restart": {"final", "cycles", "growth"}}
        used = {"name", "warmup"} | mine.get(self.name, {"final"})
        for name, field in type(self).model_fields.items():
            if name not in used and getattr(self, name) != field.default:
                raise ValueError(
                    f"the schedule '{self.name}' makes no use of {name}: leave it at its default, {field.default}"
                )
        return self


class EMARecipe(Config):
    """Exponential moving average of the weights: decay * (1 - exp(-step / tau))."""

    decay: float = Field(default=0.9999, ge=0, lt=1)
    tau: float = Field(default=2000.0, gt=0, description="steps")


class SWARecipe(Config):
    """Stochastic weight averaging (Izmailov et al. 2018): the mean of the networks at the end of the last epochs.

    In the last `share` of the epochs the rate is `rate` times the peak, whatever the schedule says; with `cycle`, it
    falls from there to `final` times the peak in every so many epochs, and the mean is of the cycles' ends.
    """

    share: float = Field(default=0.25, gt=0, lt=1, description="of the epochs, rounded")
    rate: float = Field(default=0.5, gt=0, le=1, description="of the peak")
    cycle: int | None = Field(default=None, ge=1, description="epochs; null: the rate is constant")
    final: float = Field(default=0.01, gt=0, le=1, description="of the peak, where a cycle ends")

    @model_validator(mode="after")
    def _used(self) -> SWARecipe:
        if self.cycle is None and self.final != type(self).model_fields["final"].default:
            raise ValueError("swa.final is where a cycle ends, and there is no swa.cycle: give one, or leave final out")
        if self.cycle is not None and self.final >= self.rate:
            raise ValueError(
                f"a cycle falls from swa.rate {self.rate:g} to swa.final {self.final:g}: final must be less"
            )
        return self


class EarlyStoppingRecipe(Config):
    """Stop once `patience` validations in a row were not better than the best by more than `least`."""

    patience: int = Field(default=5, ge=1, description="validations")
    least: float = Field(default=0.0, ge=0, description="in the judge's metric")


class TrainRecipe(Config):
    """The loop. `freeze` names parameters by glob that do not move; `unfreeze` lets some of them go at the start of an
    epoch (counted from 1): `{5: ["backbone.stage5.*"], 10: ["*"]}`.
    """

    epochs: int = Field(default=20, ge=1)
    image_size: ImageSize = (320, 320)
    batch: int = Field(default=16, ge=1)
    accumulate: int = Field(
        default=1, ge=1, description="batches an optimizer step; an epoch's last group may be smaller"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    compile: bool = Field(default=False, description="torch.compile: minutes at first, faster steps after, other sums")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(
        default=1, ge=1, description="processes that share each batch, a card each where there are cards"
    )
    sync_norm: bool = Field(default=False, description="batch norm sees the batch of all devices, not each its share")
    threads: int = Field(default=2, ge=1, description="CPU threads; part of the recipe, since sums depend on it")
    workers: int = Field(default=0, ge=0, description="loader processes; changes speed, never batches")
    cache: Literal["auto", "memory", "disk", "none"] = Field(
        default="auto", description="where decoded images stay; changes speed, never batches"
    )
    cache_gb: float = Field(default=4.0, ge=0, description="the most that the cache may take")
    clip_norm: float | None = Field(default=10.0, gt=0)
    clip_value: float | None = Field(default=None, gt=0)
    freeze: list[str] = Field(default_factory=list)
    unfreeze: dict[Annotated[int, Field(ge=2)], list[str]] = Field(default_factory=dict)
    early_stopping: EarlyStoppingRecipe | None = None
    ema: EMARecipe | None = EMARecipe()
    swa: SWARecipe | None = None
    checkpoint: Literal["last_ema", "last", "best_ema", "swa"] = "last_ema"
    validate_every: int = Field(default=0, ge=0, description="epochs between validations; 0: at the end only")

    @model_validator(mode="after")
    def _rule(self) -> TrainRecipe:
        if self.checkpoint.endswith("_ema") and self.ema is None:
            raise ValueError(f"checkpoint '{self.checkpoint}' wants ema, which is null: set checkpoint to 'last'")
        if self.checkpoint == "best_ema" and not self.validate_every:
            raise ValueError("checkpoint 'best_ema' chooses on validation: set validate_every to 1 or more")
        if self.early_stopping and not self.validate_every:
            raise ValueError("early_stopping watches validation: set validate_every to 1 or more")
        if self.sync_norm and (self.devices == 1 or self.compile):
            raise ValueError("sync_norm joins the batch norms of several devices, uncompiled: set devices, not compile")
        if self.unfreeze and not self.freeze:
            raise ValueError("unfreeze lets frozen parameters go, and freeze names none")
        late = [epoch for epoch in self.unfreeze if epoch > self.epochs]
        if late:
            raise ValueError(f"unfreeze names epoch {late[0]}, which would do nothing: there are {self.epochs}")
        return self

    @model_validator(mode="after")
    def _average(self) -> TrainRecipe:
        if (self.checkpoint == "swa") != (self.swa is not None):
            raise ValueError("checkpoint 'swa' and the section swa want each other: set both, or neither")
        if self.swa is None:
            return self
        if self.ema is not None:
            raise ValueError("checkpoint 'swa' makes no use of ema: set ema to null")
        if self.early_stopping is not None:
            raise ValueError("early_stopping would end the training before swa is done: leave one of them out")
        epochs, cycle = self.swa_epochs, self.swa.cycle or 1
        if epochs % cycle or epochs < 2 * cycle:
            raise ValueError(
                f"swa wants two or more whole cycles of {cycle} epochs, and its share of {self.epochs} epochs is "
                f"{epochs}: choose another swa.share, swa.cycle or epochs"
            )
        return self

    @property
    def swa_epochs(self) -> int:
        """How many of the last epochs stochastic weight averaging takes; 0 without it."""
        return round(self.swa.share * self.epochs) if self.swa else 0


class PruneRecipe(Config):
    """The fine-tune after the step `prune/SHARE`: the recipe once more, shorter and gentler, on what is left.

    Its learning rate peaks at `rate` times the optimizer's. Nothing is frozen in it, and there is no swa.
    """

    tune: float = Field(default=1 / 3, gt=0, le=10, description="times train.epochs, rounded; one epoch at least")
    rate: float = Field(default=0.1, gt=0, le=1, description="times optimizer.lr")


class DistillRecipe(Config):
    """Knowledge distillation: what the run in the folder `teacher` makes of each image is learnt too; 0 is without."""

    teacher: str
    logits: float = Field(default=1.0, ge=0)
    boxes: float = Field(default=1.0, ge=0)
    features: float = Field(default=0.0, ge=0, description="where both look: attention transfer before the head")
    temperature: float = Field(default=2.0, gt=0)

    @model_validator(mode="after")
    def _used(self) -> DistillRecipe:
        if not (self.logits or self.boxes or self.features):
            raise ValueError("distill would do nothing: logits, boxes and features are all 0")
        return self


class StartRecipe(Config):
    """Starting weights: a safetensors or torch file, loaded into the baseline before any change is made to it.

    A tensor goes where name and shape agree; `rename` maps the beginning of the file's names to the network's:
    `{"model.0.": "backbone.stem."}`. At least the share `least` of the file's tensors must find a place.
    """

    weights: str
    rename: dict[str, str] = Field(default_factory=dict)
    least: float = Field(default=0.5, ge=0, le=1)


class Recipe(Config):
    """One training, whatever the task."""

    task: str
    model: ModelRecipe = ModelRecipe()
    start: StartRecipe | None = None
    data: DataRecipe
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    train: TrainRecipe = TrainRecipe()
    prune: PruneRecipe = PruneRecipe()
    distill: DistillRecipe | None = None

    @model_validator(mode="after")
    def _compiled(self) -> Recipe:
        if self.distill and self.distill.features and self.train.compile:
            raise ValueError(
                "distill.features looks inside the network, which train.compile hides: leave one of them out"
            )
        return self


class Edit(Config):
    """One operation of surgery.

    replace   a part in place of a module              insert   a part before or after it, or where a branch ends
    convert   the same, and the weights go along       wrap     a part around it      remove   nothing in place of it

    Exactly one of `of`, `before`, `after`, `branch` says where: a part's name (`silu`), a module's name or a glob over
    names (`backbone.stage*.1`). `branch` names residual blocks: the part goes where the branch ends, before it is added
    to the shortcut. `within` narrows it to a glob, and `but` leaves out what is inside its globs. `expect` is how many
    sites it must find.
    """

    op: Literal["replace", "insert", "wrap", "remove", "convert"]
    of: str | None = None
    before: str | None = None
    after: str | None = None
    branch: str | None = None
    within: str | None = None
    but: tuple[str, ...] = ()
    part: str | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    expect: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _shape(self) -> Edit:
        places = [name for name in ("of", "before", "after", "branch") if getattr(self, name)]
        if self.op == "insert" and (len(places) != 1 or places == ["of"]):
            raise ValueError("insert wants exactly one of 'before', 'after' and 'branch'")
        if self.op != "insert" and places != ["of"]:
            raise ValueError(f"{self.op} wants 'of', and none of 'before', 'after' and 'branch'")
        if (self.part is None) != (self.op == "remove"):
            raise ValueError("'part' is missing: what should go in?" if self.part is None else "remove takes no 'part'")
        if self.op == "remove" and self.args:
            raise ValueError("remove takes no 'args', as there is no part")
        return self

    @property
    def place(self) -> str:
        """What `of`, `before`, `after` or `branch` says."""
        return self.of or self.before or self.after or self.branch or ""

    def __str__(self) -> str:
        side = "before" if self.before else "after" if self.after else "on the branch of"
        args = ", ".join(f"{name}={value!r}" for name, value in self.args.items())
        part = f"{self.part}({args})" if args else self.part
        text = {
            "replace": f"replace {self.of} by {part}",
            "insert": f"insert {part} {side} {self.place}",
            "wrap": f"wrap {self.of} in {part}",
            "remove": f"remove {self.of}",
            "convert": f"convert {self.of} to {part}",
        }[self.op]
        text += f" within {self.within}" if self.within else ""
        return text + (f" but not in {', '.join(self.but)}" if self.but else "")


EXPORTS = ("export/fp32", "export/bf16", "export/int8", "export/onnx-fp32", "export/onnx-int8")
PRUNE = "prune/"
MOST_PRUNED = 0.9  # the largest share of its channels that a network may lose


def _step(value: str) -> str:
    """A step in its one spelling: `prune/0.30` is `prune/0.3`."""
    if value in EXPORTS:
        return value
    if not value.startswith(PRUNE):
        raise ValueError(f"unknown step '{value}'{suggest(value, [*EXPORTS, f'{PRUNE}0.3'])}")
    try:
        share = float(value.removeprefix(PRUNE))
    except ValueError:
        share = math.nan
    if not 0 < share <= MOST_PRUNED:
        raise ValueError(
            f"'{value}': expected a share of the channels, above 0 and at most {MOST_PRUNED:g}, as in {PRUNE}0.3"
        )
    return f"{PRUNE}{share:g}"


After = Annotated[str, AfterValidator(_step)]


class Change(Config):
    """A named, reasoned edit of the baseline.

    `after` names what is done to the trained network before it is scored. `prune/0.3` takes three tenths of its
    channels away and fine-tunes what is left, as the recipe's section `prune` says. `export/int8` and its kin export
    it, to OpenVINO or to ONNX Runtime, in an arithmetic, and what runs there is judged. Of each kind one, in
    this order.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    because: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    edits: list[Edit] = Field(default_factory=list)
    after: list[After] = Field(default_factory=list)

    @model_validator(mode="after")
    def _in_order(self) -> Change:
        kinds = [step.startswith(PRUNE) for step in self.after]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"after: one prune and one export at most, got {', '.join(self.after)}")
        if kinds == [False, True]:
            raise ValueError(
                f"after: an exported network cannot be pruned any more; write [{self.after[1]}, {self.after[0]}]"
            )
        return self

    @model_validator(mode="after")
    def _not_empty(self) -> Change:
        if not self.set and not self.edits and not self.after:
            raise ValueError(f"the change '{self.name}' changes nothing: give it 'set', 'edits' or 'after'")
        return self
