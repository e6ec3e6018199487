"""One run: one arm under one seed, from nothing to a record."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

import ablab
from ablab import registry
from ablab.contracts import Items, Meter, SampleSet, Task
from ablab.engine import distributed
from ablab.engine.distributed import ALONE, Team
from ablab.engine.evaluate import evaluate
from ablab.engine.events import Events, Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.ledger import write_curves
from ablab.engine.pieces import again, as_kept, halved
from ablab.engine.snapshot import Snapshots
from ablab.errors import AblabError, Diverged, RunError, StoreError, TooLarge, UserError
from ablab.measure import flops, parameters, peak_memory_mb
from ablab.records import RunKey, RunRecord, read_items, write_items, write_json, write_record
from ablab.study import after, shared
from ablab.study.build import build
from ablab.study.claims import claimed
from ablab.study.design import Arm
from ablab.study.executors.ranks import together
from ablab.study.progress import Progress
from ablab.study.restore import restore
from ablab.study.shared import Shared
from ablab.study.spec import Judge
from ablab.study.teacher import taught
from ablab.study.tidy import SNAPSHOT, TUNING, sound, sweep


@dataclass(frozen=True)
class Run:
    """An arm under a seed, in its folder `place`. `batch` is how many samples a piece of a step has, the recipe's where
    it is None; `first` is another arm's finished run, whose training this one takes."""

    arm: Arm
    key: RunKey
    place: Path
    judge: Judge
    batch: int | None = None
    first: Shared | None = None

    def snapshots(self, name: str = SNAPSHOT) -> Snapshots:
        """What an earlier process of this run may have left."""
        return Snapshots(self.place / name, self.key.fingerprint)


def train(
    arm: Arm,
    key: RunKey,
    folder: Path,
    judge: Judge,
    events: Events,
    plugins: Sequence[Path] = (),
    first: RunKey | None = None,
) -> RunRecord:
    """Train one arm under one seed and write its record into the study's `folder`.

    Where the recipe says so, in several processes, which load `plugins` first; under torchrun this is its rank 0. The
    judge's metric chooses the epoch where the recipe's checkpoint rule is `best_ema`, and when to stop early. The
    training of the run `first`, which would be the same, is taken where that one is done (`study.shared`).

    What an earlier process left unfinished goes on from its last snapshot, which is deleted when the record stands. A
    run that diverges leaves a record that says so; one that fails leaves the error and is tried again by the next
    driver. The run is claimed: where another process does it, this one waits, and returns what that one wrote. Raises
    UserError for a recipe or data that cannot be trained at all, and StoreError where nothing can be written: there is
    no record to leave.
    """
    place = folder / key.folder
    progress = Progress(events, place, arm.recipe.train.epochs)
    with claimed(place, progress) as claim:
        record = sound(place / "record.json")
        if record and record.key == key and record.status != "failed":
            return record
        sweep(place)
        run = Run(arm, key, place, judge)
        record = _outcome(run, folder, first, progress, plugins)
        claim.touch()  # a process that was frozen would not know yet that the run is another's
        claim.check()
        write_record(folder, record)
        if record.status != "failed":
            for name in (SNAPSHOT, TUNING):
                run.snapshots(name).delete()
    return record


def _outcome(run: Run, folder: Path, first: RunKey | None, events: Events, plugins: Sequence[Path]) -> RunRecord:
    """Train; what goes wrong in it becomes a record that says so."""
    try:
        return _share(replace(run, first=shared.done(folder, first, run.arm)), events, plugins)
    except Diverged as error:
        return RunRecord(run.key, "diverged", error=str(error), environment=environment())
    except (UserError, StoreError):
        raise
    except RunError as error:
        return RunRecord(run.key, "failed", error=str(error), environment=environment())
    except (AblabError, RuntimeError, ValueError, OSError, MemoryError) as error:
        return RunRecord(run.key, "failed", error=f"{type(error).__name__}: {error}", environment=environment())


def follow(arm: Arm, key: RunKey, folder: Path, judge: Judge) -> None:
    """Take part in the training of torchrun's rank 0, which writes all there is to write, divergence included."""
    with suppress(Diverged):
        team = distributed.join_torchrun(arm.recipe.train)
        _train(Run(arm, key, folder / key.folder, judge), Silent(), team)
        team.leave()


def _share(run: Run, events: Events, plugins: Sequence[Path]) -> RunRecord:
    """Train with as many processes as the recipe and torchrun say."""
    train = run.arm.recipe.train
    note = distributed.check(train)
    if note:
        events.say(note)
    if distributed.under_torchrun():
        team = distributed.join_torchrun(train)
        record = _train(run, events, team)
        team.leave()
    elif train.devices > 1:
        record = _several(run, events, plugins)
    else:
        record = _train(run, events, ALONE)
    assert record  # rank 0 has one
    return replace(record, notes=(*record.notes, note)) if note else record


def _several(run: Run, events: Events, plugins: Sequence[Path]) -> RunRecord | None:
    """Train in several processes of this machine, anew in smaller pieces where a card's memory runs out."""
    train = as_kept(run.arm.recipe.train, run.snapshots())
    while True:
        try:
            return cast(RunRecord, together(_rank, (plugins, replace(run, batch=train.batch)), train, events))
        except TooLarge as error:
            smaller = halved(train)
            if smaller is None:
                raise
            events.say(again(error, smaller))
            train = smaller


def _rank(plugins: Sequence[Path], run: Run, events: Events, team: Team) -> RunRecord | None:
    registry.load_plugins(list(plugins))
    return _train(run, events, team)


def _train(run: Run, events: Events, team: Team) -> RunRecord | None:
    """Rank 0 evaluates and writes; the other ranks are done when the network is trained."""
    start, arm, key, place = time.perf_counter(), run.arm, run.key, run.place
    torch.set_num_threads(arm.recipe.train.threads)
    task = taught(registry.task(arm.recipe.task)[1](arm.recipe), arm.recipe, arm.teacher)
    splits = task.data((arm.stream, key.seed))
    made = build(task, arm, key.seed)
    for note in made.begin(place) if team.leads else ():
        events.say(note)
    learn = partial(
        fit,
        task,
        splits=splits,
        key=(arm.stream, key.seed),
        events=events,
        metric=run.judge.metric,
        direction=run.judge.direction,
        team=team,
        batch=run.batch,
    )
    cost = _size(made.model, task)
    said = events if team.leads else Silent()
    if run.first:
        whole = run.first.take(made.model)
    else:
        whole = learn(made.model, recipe=arm.recipe, folder=place, snapshots=run.snapshots())
    fitted = after.tuned(arm, task, whole, partial(learn, snapshots=run.snapshots(TUNING)), said)
    if not team.leads:
        return None
    if fitted is not whole:  # pruned
        cost = _size(copy.deepcopy(fitted.model).cpu(), task)
    if run.first or fitted is not whole:
        write_curves(place / "curves.csv", fitted.curves)
    scored = after.judged(arm, task, fitted.model, splits.plain, place)
    items = evaluate(task, scored, splits.validation, arm.recipe, events=events)
    meter = task.meter()
    settings = meter.choose(items)
    write_json(place / "run.json", {"arm": plain(arm), "facts": task.facts(), "settings": settings})
    write_json(place / "curves.json", meter.curves(items, settings))
    write_items(place / "items-validation.npz", items)
    after.save(place / "weights.safetensors", arm, whole.model, fitted.model)
    cost |= {
        "train_seconds": fitted.seconds,
        "waiting_seconds": fitted.waiting,
        "images_per_second": fitted.images_per_second,
        "run_seconds": time.perf_counter() - start + fitted.earlier_seconds,
        **_peaks(fitted),
    }
    return RunRecord(
        key,
        "done",
        scores={"validation": scores(meter, items, settings)},
        settings=settings,
        cost=cost,
        edits=made.report,
        batch_hash=fitted.batch_hash,
        weights_loaded=made.weights_loaded,
        environment=environment() | fitted.environment,
        notes=tuple(dict.fromkeys((*splits.notes, *made.notes, *fitted.notes))),  # the first run's are these, too
        trained_by=run.first.record.key.arm if run.first else "",
    )


def _size(model: nn.Module, task: Task) -> dict[str, float]:
    return {"parameters": float(parameters(model)), "flops": float(flops(model, task.example()))}


def _peaks(fitted: Fitted) -> dict[str, float]:
    """Rank 0's most memory, MB."""
    device = next(fitted.model.parameters()).device
    card = {"peak_gpu_memory_mb": peak_memory_mb(device)} if device.type == "cuda" else {}
    return {"peak_memory_mb": peak_memory_mb(), **card}


def scores(meter: Meter, items: Items, settings: dict[str, float]) -> dict[str, float]:
    """Every metric with all images weighing the same."""
    return {name: float(values[0]) for name, values in meter.score(items, settings).items()}


def environment() -> dict[str, str]:
    """What a result may depend on besides the recipe."""
    return {
        "ablab": ablab.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }


def plain(arm: Arm) -> dict[str, Any]:
    """An arm as JSON: enough to build its network again."""
    return {
        "name": arm.name,
        "kind": arm.kind,
        "because": arm.because,
        "stream": arm.stream,
        "recipe": arm.recipe.model_dump(mode="json"),
        "edits": [edit.model_dump(mode="json") for edit in arm.edits],
        "after": list(arm.after),
        "differences": list(arm.differences),
        **({"teacher": arm.teacher} if arm.teacher else {}),
    }


def score_split(place: Path, split: str, events: Events) -> dict[str, float]:
    """Score a finished run on a split, under the threshold that it chose on validation, and keep the evidence.

    Evidence that is there already is used again.
    """
    evidence = place / f"items-{split}.npz"
    task, model, arm, settings = restore(place)
    if not evidence.exists():
        torch.set_num_threads(arm.recipe.train.threads)
        samples: SampleSet = getattr(task.data((arm.stream, 0)), split)
        write_items(evidence, evaluate(task, after.reopened(arm, model, place), samples, arm.recipe, events=events))
    return scores(task.meter(), read_items(evidence), settings)
