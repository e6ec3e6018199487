"""The recipe: the full, typed description of one training; and the change: a named edit of it.

A task extends `Recipe` with its own sections (`tasks/detection/recipe.py` adds `loss`, `augment` and `postprocess`).

    recipe ---- set ----> recipe'      dotted paths, checked when read
    network --- edits --> network'     module surgery, checked before anything trains
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ablab.config import Config


class PartSpec(Config):
    """A part by name, with its arguments.  `focal` is short for `{part: focal, args: {}}`."""

    part: str
    args: dict[str, Any] = Field(default_factory=dict)


Part = Annotated[PartSpec, BeforeValidator(lambda value: {"part": value} if isinstance(value, str) else value)]


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
    """SGD or AdamW; `momentum` is AdamW's first beta. Decay acts on tensors of two or more dimensions only."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(default=2e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)


class ScheduleRecipe(Config):
    """Linear warm-up, then cosine (or constant) down to `final` times the peak rate."""

    name: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of all steps")
    final: float = Field(default=0.01, ge=0, le=1)


class EMARecipe(Config):
    """Exponential moving average of the weights: decay * (1 - exp(-step / tau))."""

    decay: float = Field(default=0.9999, ge=0, lt=1)
    tau: float = Field(default=2000.0, gt=0, description="steps")


class TrainRecipe(Config):
    """The loop."""

    epochs: int = Field(default=20, ge=1)
    image_size: ImageSize = (320, 320)
    batch: int = Field(default=16, ge=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    channels_last: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=2, ge=1, description="CPU threads; part of the recipe, since sums depend on it")
    workers: int = Field(default=0, ge=0, description="loader processes; changes speed, never batches")
    clip_norm: float | None = Field(default=10.0, gt=0)
    ema: EMARecipe | None = EMARecipe()
    checkpoint: Literal["last_ema", "last", "best_ema"] = "last_ema"
    validate_every: int = Field(default=0, ge=0, description="epochs between validations; 0: at the end only")

    @model_validator(mode="after")
    def _rule(self) -> TrainRecipe:
        if self.checkpoint != "last" and self.ema is None:
            raise ValueError(f"checkpoint '{self.checkpoint}' wants ema, which is null: set checkpoint to 'last'")
        if self.checkpoint == "best_ema" and not self.validate_every:
            raise ValueError("checkpoint 'best_ema' chooses on validation: set validate_every to 1 or more")
        return self


class Recipe(Config):
    """One training, whatever the task."""

    task: str
    model: ModelRecipe = ModelRecipe()
    data: DataRecipe
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    train: TrainRecipe = TrainRecipe()


class Edit(Config):
    """One operation of surgery.

    Exactly one of `of`, `before`, `after` says where: a part's name (`silu`), a module's name or a glob over names
    (`backbone.stage*.1`); `within` narrows it to a glob. `expect` is the number of sites it must find.
    """

    op: Literal["replace", "insert", "remove"]
    of: str | None = None
    before: str | None = None
    after: str | None = None
    within: str | None = None
    part: str | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    expect: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _shape(self) -> Edit:
        places = [name for name in ("of", "before", "after") if getattr(self, name)]
        if self.op == "insert" and places not in (["before"], ["after"]):
            raise ValueError("insert wants exactly one of 'before' and 'after'")
        if self.op != "insert" and places != ["of"]:
            raise ValueError(f"{self.op} wants 'of', and neither 'before' nor 'after'")
        if (self.part is None) != (self.op == "remove"):
            raise ValueError("'part' is missing: what should go in?" if self.part is None else "remove takes no 'part'")
        return self

    def __str__(self) -> str:
        place = next(f"{word} {getattr(self, word)}" for word in ("of", "before", "after") if getattr(self, word))
        what = {"replace": f"replace {self.of} by {self.part}", "remove": f"remove {self.of}"}
        text = what.get(self.op, f"insert {self.part} {place}")
        return text + (f" within {self.within}" if self.within else "")


class Change(Config):
    """A named, reasoned edit of the baseline."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    because: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    edits: list[Edit] = Field(default_factory=list)

    @model_validator(mode="after")
    def _not_empty(self) -> Change:
        if not self.set and not self.edits:
            raise ValueError(f"the change '{self.name}' changes nothing: give it 'set' or 'edits'")
        return self
