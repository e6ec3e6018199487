"""Pre-flight: build, operate on, check, weigh and time every arm before anything trains."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from ablab import registry, stats
from ablab.contracts import SampleSet, Splits, Task
from ablab.engine import optim
from ablab.engine.distil import Taught
from ablab.engine.events import Events, working
from ablab.engine.freezing import Freezing
from ablab.engine.loading import KeyedSampler
from ablab.engine.memory import explained
from ablab.engine.precision import choose
from ablab.errors import ConfigError, UserError, suggest
from ablab.export.deployed import as_shipped
from ablab.measure import Latency, flops, latency, parameters, peak_memory_mb
from ablab.recipe import TrainRecipe, parts
from ablab.study import after, controls, groups, looks, resources
from ablab.study.build import Made, build
from ablab.study.collisions import collisions
from ablab.study.company import company
from ablab.study.design import Arm, arms
from ablab.study.executors.local import Local
from ablab.study.known import Noise, known_noise
from ablab.study.prospects import prospects
from ablab.study.shared import first
from ablab.study.spec import Study
from ablab.study.steps import share, tuning
from ablab.study.teacher import taught
from ablab.study.train import scores
from ablab.surgery import contract
from ablab.surgery.variance_shift import variance_shifts

STARTUP_SECONDS = 4.0  # a forked process: the data set opened, the first batch, files written
FEW = 4  # images in a batch that is timed: the baseline's full one says how much less each of them costs there


@dataclass(frozen=True)
class Built:
    """One arm, standing on the CPU."""

    arm: Arm
    task: Task
    splits: Splits
    made: Made
    kept: nn.Module  # the network, or what pruning leaves of it
    judged: nn.Module  # that, or what it is exported to

    @property
    def model(self) -> nn.Module:
        """The network that is trained, operated on."""
        return self.made.model


def plan(
    study: Study, plugins: Sequence[Path], events: Events, jobs: int | None = None, shelf: Path = Path("runs")
) -> dict[str, Any]:
    """Build and check every arm; `plan.json` as plain data, for `jobs` runs at a time.

    What the seed noise is may be known from studies in the folder `shelf`.

    Raises UserError naming every arm that cannot be built, with the site, the shapes and what to do; ConfigError for a
    metric that the task does not have, and for images of the judge's split without a group.
    """
    source = registry.load_plugins([*map(Path, study.plugins), *plugins])
    made, jobs = arms(study), jobs or at_a_time(study)
    torch.set_num_threads(study.baseline.train.threads)
    with TemporaryDirectory() as place, working(events, "plan", 2 * len(made) + 1):
        built = _build(study, made, events, Path(place))
        if study.judge.split == "test" and not len(built[0].splits.test):
            raise ConfigError("judge.split is 'test', but the data has no test split; judge on validation")
        groups.labels(getattr(built[0].splits, study.judge.split).ids, study.judge.group)
        evaluated = _evaluation(built[0], study.judge.metric)
        discount, crowd = _discount(built[0]), _crowding(built[0], jobs)
        rows = []
        for done, each in enumerate(built, start=len(made) + 1):
            events.advance(done, {})
            rows.append(_row(each, evaluated, discount, crowd, first(each.arm, made) is not None))
        events.advance(2 * len(made), {})
        rounds = max(7, min(15, 100 // len(made)))
        timed = _latencies(built, rounds)
    for row in rows:
        row |= {"latency_ms": timed[row["arm"]].median_ms, "latency_iqr_ms": timed[row["arm"]].iqr_ms}
    noise = known_noise(study, shelf, built[0].splits.manifest)
    hours = sum(row["run_seconds"] for row in rows) * len(study.seeds) / jobs / 3600
    disk, free = resources.needed_mb(rows, len(study.seeds), jobs), resources.free_mb(shelf)
    return {
        "name": study.name,
        "arms": rows,
        "disk_mb": disk,
        "free_disk_mb": free,
        "seeds": list(study.seeds),
        "metric": study.judge.metric,
        "jobs": jobs,
        "hours": hours,
        "looks": looks.prospects(study, made, hours),
        "max_hours": study.max_hours,
        "plugins": source,
        "notes": [
            *built[0].splits.notes,
            built[0].task.facts()["note"],
            *resources.shortages(rows, disk, free, jobs, choose(study.baseline.train).cuda),
        ],
        "detectable": detectable(study, len(made) - 1, noise),
        "design": prospects(study, made, noise),
    }


def at_a_time(study: Study) -> int:
    """Runs at a time on this machine."""
    return Local().at_a_time(study.baseline.train)


def _build(study: Study, made: Sequence[Arm], events: Events, place: Path) -> list[Built]:
    built, broken, seed = [], [], study.seeds[0]
    checked: set[tuple[str | None, str]] = set()
    for done, arm in enumerate(made, start=1):
        try:
            task = taught(registry.task(arm.recipe.task)[1](arm.recipe), arm.recipe)
            splits = task.data((arm.stream, seed))
            network = build(task, arm, seed)
            kept = after.pruned(arm, task, network.model)
            judged = after.judged(arm, task, kept, splits.plain, place / str(done), FEW)
            built.append(Built(arm, task, splits, network, kept, judged))
            _check_parts(arm, checked)
            _check_names(arm, built[-1].model)
        except UserError as error:
            if arm.kind == "baseline":
                raise
            broken.append(f"{arm.kind} '{arm.name}': {error}")
        events.advance(done, {})
    broken = list(collisions(study, made)) or broken
    if broken:
        raise UserError("\n".join(broken))
    gained = {each.arm.name: parameters(each.model) - parameters(built[0].model) for each in built}
    controls.assert_as_many_parameters(made, gained)
    return built


def _check_parts(arm: Arm, checked: set[tuple[str | None, str]]) -> None:
    """Hold every part that an edit or the recipe names to its slot's contract; `checked` have kept theirs."""
    named = [*((None, edit.part) for edit in arm.edits if edit.part), *parts(arm.recipe)]
    for slot, part in dict.fromkeys([*named, ("optimizer", arm.recipe.optimizer.name)]):
        entry = registry.get(part, slot)
        if (entry.slot, part) not in checked and entry.slot in contract.PROMISES:
            contract.check(entry)
        checked.add((entry.slot, part))


def _check_names(arm: Arm, model: nn.Module) -> None:
    """Raise ConfigError for a glob of the recipe that does nothing on this network, or an unfit optimizer."""
    optim.check(optim.optimizer(model, arm.recipe.optimizer), arm.recipe.train)
    Freezing(model, arm.recipe.train.freeze, arm.recipe.train.unfreeze).end()


def _batch(task: Task, samples: SampleSet, count: int, epoch: int) -> dict[str, Any]:
    return task.collate([samples[epoch, i % len(samples)] for i in range(count)])


def _evaluation(built: Built, metric: str) -> float:
    """Seconds to evaluate one image; checks on the way that the judge's metric exists."""
    samples = built.splits.validation
    batch = _batch(built.task, samples, min(8, len(samples)), 0)
    meter = built.task.meter()
    model = built.model.eval()
    seconds = []
    with torch.inference_mode():
        for _ in range(2):  # the first warms up
            start = time.perf_counter()
            predictions = built.task.predict(model, batch)
            seconds.append((time.perf_counter() - start) / len(predictions))
    meter.update(predictions, batch["truth"])
    found = scores(meter, meter.items(), meter.choose(meter.items()))
    if metric not in found:
        raise ConfigError(f"judge: there is no metric '{metric}'{suggest(metric, found)}")
    return seconds[-1]


def _row(built: Built, evaluation_seconds: float, discount: float, crowd: float, takes: bool) -> dict[str, Any]:
    """A row of the plan; an arm that `takes` another's training does what comes after it alone."""
    train = built.arm.recipe.train
    few = _few(train)
    if choose(train).cuda:
        torch.cuda.reset_peak_memory_stats()
    with explained(train):
        step = _step_seconds(built, few)  # with nothing frozen
        memory = _memory(built, few)
    if few < train.batch:
        step *= discount * train.batch / few
    batches = KeyedSampler(len(built.splits.train), (), train.batch, train.epochs, built.splits.sampling)
    tuned = tuning(built.arm.recipe).train.epochs if share(built.arm.after) else 0  # as slow as if nothing were pruned
    epochs = (0 if takes else train.epochs) + tuned
    steps = -(-len(batches.sizes) // train.accumulate) * epochs
    validations = 1 + (epochs // train.validate_every if train.validate_every else 0)
    trained = len(batches) * step * epochs / train.epochs
    evaluated = validations * len(built.splits.validation) * evaluation_seconds
    seconds = STARTUP_SECONDS + crowd * (trained + evaluated)
    example, state = built.task.example(), resources.state_bytes(built.model)
    return {
        "arm": built.arm.name,
        "differences": list(built.arm.differences),
        "because": built.arm.because,
        "parameters": parameters(built.kept),
        "flops": flops(built.kept, example),
        "input_shape": list(example.shape),
        "output_shapes": _shapes(built.model, example),
        "sites": built.made.report.sites,
        "unreached": list(built.made.report.unreached),
        "weights_loaded": built.made.weights_loaded,
        "steps": steps,
        "step_ms": step * 1000,
        "run_seconds": seconds,
        "memory_mb": memory,
        "state_mb": state / resources.MB,
        "disk_mb": resources.disk_mb(state, len(built.splits.validation) + len(built.splits.test)),
        "notes": _notes(built),
    }


def _latencies(built: Sequence[Built], rounds: int) -> dict[str, Latency]:
    """{arm: how long it takes over one image}: pixels in, boxes and scores out, in whatever runtime it is judged in.

    Networks whose outputs are no boxes are timed as they are.
    """
    example = built[0].task.example()
    try:
        whole: dict[str, nn.Module] = {each.arm.name: as_shipped(each.judged) for each in built}
    except ConfigError:
        return latency({each.arm.name: each.judged for each in built}, example, rounds, warmup=1)
    pixels = (example * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()  # (1, H, W, 3)
    return latency(whole, pixels, rounds, warmup=1)


def _shapes(model: nn.Module, example: Tensor) -> list[list[int]]:
    with torch.inference_mode():
        output = model.eval()(example)
    flat = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else [output]
    return [list(each.shape) for each in flat if isinstance(each, Tensor)]


def _few(train: TrainRecipe) -> int:
    """Images in a batch that is timed. A card gets a full one: it is quick, and must hold it."""
    return train.batch if choose(train).cuda else min(FEW, train.batch)


def _discount(built: Built) -> float:
    """What an image costs in a full batch, as a share of what it costs among a few."""
    train = built.arm.recipe.train
    few = _few(train)
    if few == train.batch:
        return 1.0
    with explained(train):
        whole, part = (_step_seconds(built, images) for images in (train.batch, few))
    return whole / part * few / train.batch


def _crowding(built: Built, jobs: int) -> float:
    """How much slower a step is while others run, as many as there will be: 1 to `jobs`, and 1 on a card."""
    train = built.arm.recipe.train
    others = min(jobs, os.cpu_count() or 1) - 1
    if others < 1 or choose(train).cuda:
        return 1.0
    few = _few(train)
    with explained(train):
        alone = _step_seconds(built, few)
        with company(others):
            beside = _step_seconds(built, few)
    return min(max(beside / alone, 1.0), float(jobs))


def _step_seconds(built: Built, images: int) -> float:
    """Time of a training step on real batches of so many images, as it will run; also the proof that a step works.

    Raises UserError where the loss is not finite or a parameter is left without a gradient.
    """
    precision = choose(built.arm.recipe.train)
    model = precision.place(copy.deepcopy(built.model)).train()
    chosen = optim.optimizer(model, built.arm.recipe.optimizer)  # asserts that it holds every parameter exactly once
    seconds = []
    for epoch in range(3):  # the first warms up
        _batch(built.task, built.splits.train, images, epoch)  # so that images are in the cache, as they soon will be
        start = time.perf_counter()
        batch = precision.to_device(_batch(built.task, built.splits.train, images, epoch))
        with precision.autocast():
            loss = built.task.step(model, batch).loss
        if not torch.isfinite(loss):
            raise UserError(f"arm '{built.arm.name}': the first loss is {loss.item()}; check the change's arguments")
        loss.backward()  # type: ignore[no-untyped-call]
        if precision.cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        if idle:
            raise UserError(f"arm '{built.arm.name}': {len(idle)} parameters get no gradient, the first is {idle[0]}")
        chosen.zero_grad()
    return min(seconds[1:])


def _memory(built: Built, few: int) -> float:
    """Peak memory of a run, MB, all its processes; on a card as the timed steps left it, and the run's own copies."""
    train, state = built.arm.recipe.train, resources.state_bytes(built.model)
    precision = choose(train)
    if precision.cuda:
        return train.devices * (peak_memory_mb("cuda") + 3 * state / resources.MB)  # average and moments
    model, batch = copy.deepcopy(built.model).train(), _batch(built.task, built.splits.train, few, 0)

    def forward() -> Any:
        with precision.autocast():
            return built.task.step(model, batch)

    _, kept = resources.kept_bytes(forward)
    teacher = resources.state_bytes(built.task.teacher) if isinstance(built.task, Taught) else 0
    alone = resources.memory_mb(state, kept * train.batch / train.devices / few)
    return train.devices * (alone + teacher / resources.MB)


def _notes(built: Built) -> list[str]:
    notes = list(built.made.notes)
    if built.made.transfer and built.arm.kind == "baseline":
        notes.append(f"start: {built.made.transfer}")
    if built.made.report.unreached:
        count = len(built.made.report.unreached)
        notes.append(f"{count} functional calls were not reached: {', '.join(built.made.report.unreached[:3])}")
    shifts = variance_shifts(built.model, built.task.example())
    notes += map(str, shifts[:2])
    if len(shifts) > 2:
        notes.append(f"{len(shifts) - 2} more dropouts stand before batch norms")
    return notes


def detectable(study: Study, comparisons: int, noise: Noise | None) -> dict[str, Any]:
    """The smallest effect that these seeds find four times in five, in units of sd(d), the seed noise."""
    n, alpha = len(study.seeds), study.judge.alpha
    if n < 2:
        return {"seeds": n, "comparisons": comparisons, "one": None, "all": None, "noise": noise.sd if noise else None}
    return {
        "seeds": n,
        "comparisons": comparisons,
        "one": looks.detectable(study, 1),
        "all": looks.detectable(study, comparisons),
        "method": study.judge.method,
        "critical": {
            "holm": float(stats.critical_t(n, alpha / comparisons)),
            "dunnett": stats.critical_dunnett(comparisons, comparisons * (n - 1), alpha),
        },
        "noise": noise.sd if noise else None,
    }
