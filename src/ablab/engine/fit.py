"""The loop: from a network, a data set and a recipe to a trained network.

    batches --forward--> loss --backward--> gradients    `accumulate` times; torch is reseeded before each
       `-> hash            gradients --clip--> ledger --> optimizer --> EMA      a step; perhaps a snapshot

Steps are the optimizer's: schedule, EMA and clipping count them. An optimizer that searches (L-BFGS) evaluates a step's
batches several times. Stochastic weight averaging takes the weights in after epochs, and at the end one pass over the
images without augmentation gives the mean's norms their statistics.

One process trains one network, so the loop may set torch's generators. On one machine the same key gives the same
weights to the bit, with any number of loader workers, and however often the training was cut off and went on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from ablab.contracts import Batch, Splits, Task
from ablab.engine.distributed import ALONE, Team
from ablab.engine.evaluate import evaluate, score
from ablab.engine.events import Events, Silent, working
from ablab.engine.ledger import Row, write_curves
from ablab.engine.loading import in_order, joined, load
from ablab.engine.memory import explained, keep_freed
from ablab.engine.pieces import Beginning, again, as_kept, division, halved, in_pieces
from ablab.engine.snapshot import Snapshots
from ablab.engine.training import Training
from ablab.errors import ConfigError, DataError, RunError, StoreError, TooLarge
from ablab.recipe import Recipe
from ablab.streams import Key


@dataclass(frozen=True)
class Fitted:
    """A finished training. `model` holds the checkpoint rule's weights, in eval mode.

    `seconds` is training alone, without validation, and `waiting` those of them in which the next batch was not there
    yet; `earlier_seconds` is all that earlier processes spent on it. `epoch` is the one the weights come from, counted
    from 1. `notes` says why it ended early, where it did, and what was otherwise than a reader might think.
    """

    model: nn.Module = field(repr=False)
    curves: tuple[Row, ...]
    epoch: int
    steps: int
    seconds: float
    waiting: float
    images_per_second: float
    batch_hash: str
    environment: dict[str, str]
    notes: tuple[str, ...] = ()
    earlier_seconds: float = 0.0


def fit(
    task: Task,
    model: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    key: Key,
    folder: Path | None = None,
    events: Events | None = None,
    metric: str | None = None,
    direction: Literal["max", "min"] = "max",
    snapshots: Snapshots | None = None,
    team: Team = ALONE,
    batch: int | None = None,
) -> Fitted:
    """Train `model` in place on `splits.train`, and load the weights that the checkpoint rule names.

    `key` is (study, seed): every draw depends on it and on the step, on nothing else. `folder` receives `curves.csv`
    after each epoch. `metric` and `direction` choose the best epoch on validation for the rule `best_ema`, and decide
    when to stop early; test is never read (trap 13). With `snapshots` the training goes on where the last one was
    taken, to the same bits; the caller deletes them when the result is safe. Every process of a `team` calls this with
    equal arguments; rank 0 alone validates, writes and shows, and its result is the one that counts.

    Where a card's memory runs out, the training begins again in batches of half the size with `train.accumulate`
    doubled, as often as it takes, and a note says so. A team's raises TooLarge: its ranks have to agree. Who calls them
    again names a smaller `batch`, which divides the recipe's, to begin with.

    Raises Diverged where a loss or gradient is not finite, DataError for an empty split, ConfigError where a setting
    does not fit the network or wants a metric and none came, RunError where memory runs out or the team does not agree.
    """
    train = recipe.train
    if metric is None and (train.checkpoint == "best_ema" or train.early_stopping):
        raise ConfigError(
            "train.checkpoint 'best_ema' and train.early_stopping: expected the metric to watch, got none"
        )
    if not len(splits.train):
        raise DataError("the training split is empty: expected at least one sample")
    keep_freed()
    shown, place = events if events and team.leads else Silent(), folder if team.leads else None
    kept = as_kept(train, snapshots) if team.size == 1 else train
    beginning, tried = Beginning(model), recipe.model_copy(update={"train": in_pieces(train, batch) if batch else kept})
    while True:
        try:
            with explained(tried.train):
                training = partial(Training, task, model, splits, tried, key, metric or "", direction, team)
                fitted = _trained(training, splits, shown, place, snapshots)
            said = division(train, tried.train, model)
            return replace(fitted, notes=(*fitted.notes, said)) if said else fitted
        except TooLarge as error:
            smaller = halved(tried.train) if team.size == 1 else None
            if smaller is None:
                raise
            shown.say(again(error, smaller))
        beginning.restore(model)
        tried = tried.model_copy(update={"train": smaller})


def _trained(
    begin: Callable[[], Training], splits: Splits, events: Events, folder: Path | None, snapshots: Snapshots | None
) -> Fitted:
    """One training, from `begin` to its end; nobody else holds it, so where it fails its memory is free again."""
    training = begin()
    with training.precision.settled():
        return _Loop(training, splits, events, folder, snapshots).run()


class _Loop:
    """What stands around a training: batches, progress, validation, files."""

    def __init__(
        self, training: Training, splits: Splits, events: Events, folder: Path | None, snapshots: Snapshots | None
    ) -> None:
        self.training, self.splits, self.events = training, splits, events
        self.folder, self.snapshots = folder, snapshots
        self.begun, self.earlier = time.perf_counter(), 0.0
        self.disk = ""  # what was said of it

    def run(self) -> Fitted:
        training, train = self.training, self.training.recipe.train
        self.resume()
        for note in training.precision.notes:
            self.events.say(note)
        if train.compile:
            self.events.say("train.compile: the first step may take minutes")
        stream = load(
            self.splits.train,
            training.team.shares(training.sampler) if training.team.size > 1 else training.sampler,
            training.task.collate,
            workers=train.workers,
            pin=training.precision.cuda,
        )
        with closing(stream), working(self.events, "train", training.steps):
            if training.done:
                self.events.advance(training.done, {})  # so that the time left is reckoned from here
            while not training.over:
                self.epoch(stream)
        if train.swa and training.team.leads:
            self.refresh()
        seconds = sum(row["seconds"] for row in training.curves)
        images = training.epochs * sum(training.sampler.sizes)
        if self.folder:
            write_curves(self.folder / "curves.csv", training.curves)
        hashes = training.team.gather(training.hash.state)
        return Fitted(
            model=training.chosen(),
            curves=tuple(training.curves),
            epoch=training.best.epoch if training.best else training.epochs,
            steps=training.done,
            seconds=seconds,
            waiting=sum(row["waiting"] for row in training.curves),
            images_per_second=images / seconds,
            batch_hash=joined(hashes),
            environment=training.precision.describe() | training.forward.describe(),
            notes=training.notes(),
            earlier_seconds=self.earlier,
        )

    def epoch(self, stream: Iterator[Batch]) -> None:
        """One pass over the data, or what is left of it; validation where it is due; then what is kept on disk."""
        training, train = self.training, self.training.recipe.train
        for shown in training.epoch(stream):
            self.events.advance(training.done, shown)
            if training.place()[0] < len(training.groups):
                self.keep()
        done = training.epochs
        if train.validate_every and (done % train.validate_every == 0 or done == train.epochs):
            training.judge(self.validate())
        self.keep(curves=True)

    def validate(self) -> dict[str, float]:
        """Rank 0's scores, on every rank: all of them decide alike."""
        return self.training.team.told(self.scores() if self.training.team.leads else None)

    def scores(self) -> dict[str, float]:
        training = self.training
        if training.swa and training.swa.count:
            self.refresh()
        items = evaluate(
            training.task,
            training.watched(),
            self.splits.validation,
            training.recipe,
            events=self.events,
            name="validate",
        )
        return score(training.task, items)

    def refresh(self) -> None:
        """Bring the training images, as they are, through the averaged network, for its norms' statistics."""
        training, plain, train = self.training, self.splits.plain, self.training.recipe.train
        batches = in_order(len(plain), train.batch, plain.shapes)
        batches = [batch for batch in batches if len(batch) > 1] or batches  # batch norm may not bear a single sample
        pin = training.precision.cuda
        stream = load(plain, batches, training.task.collate, workers=train.workers, pin=pin)
        with closing(stream), working(self.events, "average", len(batches)):
            training.refresh(self.counted(stream))

    def counted(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        for done, batch in enumerate(stream, start=1):
            yield batch
            self.events.advance(done, {})

    def resume(self) -> None:
        """Go on from the last snapshot, where there is one that fits."""
        if self.snapshots is None:
            return
        if self.training.team.leads:
            self.snapshots.tidy()
        try:
            kept = self.snapshots.read(self.training.about())
            if kept is None:
                return
            self.training.restore(*kept)
            self.earlier = kept[1]["elapsed"]
            self.events.say(f"goes on from step {self.training.done} of {self.training.steps}")
        except (StoreError, ConfigError) as error:
            self.events.say(f"{error}; training starts anew")
        finally:
            self.agree()

    def agree(self) -> None:
        """Raise RunError unless every rank stands at the same step."""
        stand = self.training.team.gather(f"{self.training.done:012}")
        if len(set(stand)) > 1:
            raise RunError(
                f"the ranks would begin at the steps {', '.join(str(int(at)) for at in stand)}: expected one; the "
                "run's folder must be one that every machine sees, or have no snapshot"
            )

    def keep(self, curves: bool = False) -> None:
        """Write the curves, and a snapshot where it is due. A full disk is said once, and training goes on."""
        due = self.snapshots is not None and self.training.team.told(self.snapshots.due())
        state = self.training.state() if due else None  # every rank has its share in it
        if not self.training.team.leads:
            return
        try:
            if self.folder and curves:
                write_curves(self.folder / "curves.csv", self.training.curves)
            if self.snapshots and state:
                tensors, plain = state
                plain["elapsed"] = self.earlier + time.perf_counter() - self.begun
                self.snapshots.write(self.training.about(), tensors, plain)
        except StoreError as error:
            if not self.disk:
                self.events.say(f"{error}; training goes on, but cannot be resumed from here")
            self.disk = str(error)
