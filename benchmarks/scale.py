"""What a study of many runs costs its driver: driven, read, judged and reported, with made-up scores.

Nothing is trained: the driver's own loop hands its runs to simulated slots, which leave a record and curves, without
evidence and weights. How long a run takes is drawn from the runs of a finished study, `--measured`, scaled to a median
of `--minutes`; without one it is log-normal with a spread of a tenth.

    python benchmarks/scale.py [--arms 20] [--seeds 500] [--slots 1000] [--minutes 10] [--measured STUDY] [--profile]
    python benchmarks/scale.py --arms 20 --seeds 5000 --slots 10000 --drive-only
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ablab import reports
from ablab.engine.events import Silent
from ablab.records import RECORD_VERSION, RunRecord, plain_json, read_records, write_json
from ablab.study import spec, store
from ablab.study.design import arms
from ablab.study.executors.job import Job
from ablab.study.executors.simulated import Simulated
from ablab.study.judge import judge
from ablab.study.run import train_missing
from ablab.study.standing import standing
from results import write

SPREAD = 0.1  # sd of the logarithm of a run's time
FILES = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.utime", "os.listdir", "os.scandir", "glob.glob")
GRID = np.linspace(0, 1, 101)
CURVES = {  # as a detector's run leaves them: precision over recall, and three curves over the threshold
    "pr": {"recall": GRID, "mean": 1 - GRID**2},
    "f1": {"threshold": GRID, "precision": GRID, "recall": 1 - GRID, "F1": 4 * GRID * (1 - GRID)},
}
EPOCHS = 20


def study(changes: int, seeds: int) -> spec.Study:
    """Changes of one number each."""
    rows = [{"name": f"rate-{i}", "set": {"optimizer.lr": 0.001 + i * 1e-6}} for i in range(changes)]
    baseline: dict[str, Any] = {"task": "detection", "data": {"path": "photo-digits"}}
    asked = {"name": "scale", "baseline": baseline, "changes": rows, "seeds": list(range(seeds))}
    return spec.build(asked, "scale", Path.cwd())


class Work:
    """What simulated runs take and leave: replayed times, and small files with made-up scores, unflushed."""

    def __init__(self, minutes: float, curves: bool, measured: Path | None) -> None:
        self.rng, self.minutes, self.curves = np.random.default_rng(0), minutes, curves
        seconds = [record.cost["run_seconds"] for record in read_records(measured)] if measured else []
        self.shares = np.array(seconds) / np.median(seconds) if seconds else np.zeros(0)

    def seconds(self, job: Job) -> float:
        if len(self.shares):
            return 60 * self.minutes * float(self.rng.choice(self.shares))
        return 60 * self.minutes * float(np.exp(SPREAD * self.rng.standard_normal()))

    @property
    def said(self) -> str:
        if not len(self.shares):
            return f"log-normal times with a spread of {SPREAD:g}"
        return f"times of {len(self.shares)} measured runs, {self.shares.min():.2f} to {self.shares.max():.2f} medians"

    def leave(self, job: Job) -> None:
        _, key, folder, *_ = job.arguments
        score = 0.4 + 0.01 * self.rng.standard_normal()
        scores = {"validation": dict.fromkeys(("AP", "AP50", "AP75", "F1"), score)}
        cost = {"parameters": 1.8e6, "flops": 4e9, "train_seconds": 60 * self.minutes, "peak_memory_mb": 900.0}
        place = folder / key.folder
        record = RunRecord(key, "done", scores, {"threshold": 0.3}, cost)
        write_json(place / "record.json", {"version": RECORD_VERSION, **plain_json(record)}, durable=False)
        if not self.curves:
            return
        write_json(place / "curves.json", CURVES, durable=False)
        rows = [f"{epoch},{2 / epoch:.6g},{score * epoch / EPOCHS:.6g}" for epoch in range(1, EPOCHS + 1)]
        (place / "curves.csv").write_text("\n".join(["epoch,loss,validation/AP", *rows]) + "\n")


class Operations:
    """Counts this process's operations on files, as Python's audit tells of them, while `counting`."""

    def __init__(self) -> None:
        self.count, self.counting = 0, False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: object) -> None:
        self.count += self.counting and event in FILES


def drive(asked: spec.Study, folder: Path, slots: int, work: Work) -> tuple[Simulated, dict[str, float]]:
    """The study's runs by the real driver on simulated slots; what the driver needed."""
    made, operations = arms(asked), Operations()
    keys = store.keys(asked, made, {arm.name: "-" for arm in made}, "")

    def done(job: Job) -> None:
        operations.counting = False
        work.leave(job)
        operations.counting = True

    simulated, start = Simulated(slots, work.seconds, done), time.process_time()
    with store.driving(folder):
        write_json(folder / "study.json", store.describe(asked))
        operations.counting = True
        train_missing(asked, folder, keys, (), slots, Silent(), time.monotonic(), simulated)
        operations.counting = False
    found = {
        "ms": 1000 * simulated.driver / len(keys),
        "operations": operations.count / len(keys),
        "cpu": time.process_time() - start,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return simulated, found


@contextmanager
def timed(name: str, found: dict[str, float]) -> Iterator[None]:
    """Processor time of the body, s: others may be at work on this machine."""
    start = time.process_time()
    yield
    found[name] = time.process_time() - start
    print(f"{name}: {found[name]:.1f} s", flush=True)


def driven(simulated: Simulated, found: dict[str, float], work: Work) -> str:
    """How the driver did, in words."""
    late = simulated.clock / simulated.ideal - 1
    rate = 1000 / found["ms"]
    return (
        f"{simulated.runs:,} runs of {work.minutes:g} minutes ({work.said}) on {simulated.slots:,} slots: "
        f"{found['ms']:.1f} ms of the "
        f"driver a run and {found['operations']:.0f} operations on files (stats not counted); the study takes "
        f"{simulated.clock / 3600:.2f} h, {late:.1%} more than no overhead would; one driver could keep "
        f"{rate * 60 * work.minutes:,.0f} such slots busy; {found['peak']:.0f} MB of memory at most. "
    )


def main() -> None:
    """Drive, time each stage, print, and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--measured", type=Path, help="a finished study's folder, whose run times are replayed")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--drive-only", action="store_true", help="no status, verdicts and report")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="ablab-scale-"))
    asked, found, profile = study(options.arms - 1, options.seeds), dict[str, float](), cProfile.Profile()
    if options.profile:
        profile.enable()
    work = Work(options.minutes, not options.drive_only, options.measured)
    simulated, needed = drive(asked, folder, options.slots, work)
    text = driven(simulated, needed, work)
    print(text, flush=True)
    if not options.drive_only:
        text += after(asked, folder, found)
    profile.disable()
    if options.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats("ablab", 40)
        return
    print(text)
    write(f"Scale: {options.arms} arms, {options.seeds} seeds, {options.slots} slots", text)


def after(asked: spec.Study, folder: Path, found: dict[str, float]) -> str:
    """What comes after the runs, each timed: `ablab status`, the judge, `ablab report`."""
    with timed("read", found):
        records = read_records(folder)
    with timed("status", found):
        standing(folder)
    with timed("judge", found):
        write_json(folder / "verdicts.json", judge(asked, arms(asked), records))
    with timed("report", found):
        page = reports.write(folder)["html"]
    size = sum(path.stat().st_size for path in (folder / records[0].key.folder).iterdir())
    return (
        f"Record and curves of a run take {size:,} bytes. Of processor time: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.items())
        + f"; the page has {page.stat().st_size / 2**20:.1f} MB."
    )


if __name__ == "__main__":
    main()
