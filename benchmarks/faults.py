"""Kill a study at random moments until it is finished, again and again: does it end as one that nobody disturbed?

    python benchmarks/faults.py --kills 100 --seed 0

Each round forks a driver from a warm process, which forks its workers, and kills it, a worker, or all of them at once
with SIGKILL: half of the times just before a random one of the process's operations on the study's files, otherwise
after a random time. The next round starts when the driver is gone, while orphaned workers may still live. A study that
ends is held against an undisturbed one: records, weights, evidence and verdicts equal to the bit, but for times.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import results
from ablab.engine import snapshot
from ablab.engine.events import Silent
from ablab.errors import StoreError
from ablab.records import RunKey, RunRecord, plain_json, read_json, read_records
from ablab.study import run as running
from ablab.study import spec
from ablab.study.design import arms
from ablab.study.executors import local
from ablab.study.spec import Study
from ablab.study.train import train

ASKED: dict[str, Any] = {
    "name": "faults",
    "baseline": {
        "task": "detection",
        "data": {"path": "photo-digits", "classes": 3, "size": 64, "scenes": [12, 6, 6]},
        "train": {"epochs": 1, "image_size": 64, "batch": 4, "threads": 1},
    },
    "changes": [
        {"name": "cbam", "because": "attention", "edits": [{"op": "insert", "after": "backbone.out", "part": "cbam"}]}
    ],
    "controls": [],
    "seeds": 3,
    "judge": {"metric": "AP50", "smallest_interesting": 0.05},
}
WHO = ("driver", "worker", "all")
FILES = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.utime", "os.truncate", "os.listdir")
SAME = ("weights.safetensors", "items-validation.npz", "items-test.npz", "curves.json", "run.json", "test.json")
OPERATIONS = 70  # as many as a run takes; the driver has some more
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Strike:
    """One kill: of whom, and when: before the `operation`-th operation on the study's files, or after `seconds`.

    Whoever makes `token` first does it, so that a strike is one kill.
    """

    who: str
    token: Path
    operation: int = 0
    seconds: float = 0.0

    def taken(self) -> bool:
        try:
            os.close(os.open(self.token, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


@dataclass
class Tally:
    """What a disturbed study went through."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    rewritten: int = 0  # finished records that were written again
    differences: list[str] = field(default_factory=list)


def study() -> Study:
    """Two arms, three seeds, one epoch."""
    return spec.build(ASKED, "faults.yaml", Path.cwd())


def drive(folder: Path, strikes: Sequence[Strike] = ()) -> None:
    """Be a driver, in a process group of its own; ends with 0 where the study is finished."""
    os.setpgrp()
    snapshot.SNAPSHOT_SECONDS = 0.0  # one after every step: more to interrupt
    local.forking = lambda: FORK  # workers begin at once, without importing torch anew
    os.register_at_fork(after_in_child=_let_go)
    for strike in strikes:
        if strike.operation:
            sys.addaudithook(_hook(folder, strike, os.getpid()))
    try:
        outcome = running.run(study(), folder, jobs=2, display=Silent())
    except StoreError:
        os._exit(2)
    os._exit(0 if outcome["closed"] and not outcome["failed"] else 1)


def _let_go() -> None:
    """Close the driver's lock in a forked worker, which one from a server would never have had."""
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{entry}").endswith("/.lock"):
                os.close(int(entry))


def _hook(folder: Path, strike: Strike, driver: int) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that counts operations on the study's files, and kills before the one that was drawn."""
    left, place = Counter({os.getpid(): strike.operation}), str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILES or not arguments or not str(arguments[0]).startswith(place):
            return
        me = os.getpid()
        if strike.who != "all" and (me == driver) != (strike.who == "driver"):
            return
        left[me] = left.get(me, strike.operation) - 1
        if left[me] == 0 and strike.taken():
            (os.killpg if strike.who == "all" else os.kill)(driver if strike.who == "all" else me, signal.SIGKILL)

    return hook


def disturb(folder: Path, rng: np.random.Generator, kills: int, span: float, operations: int) -> Tally:
    """Drive a study to its end, with up to `kills` kills on its way.

    `span` (seconds) and `operations` bound when they come.
    """
    tally, stamps = Tally(), dict[Path, int]()
    while True:
        tally.rounds += 1
        strikes = _draw(folder, rng, tally, kills, span, operations)
        process = FORK.Process(target=drive, args=(folder, strikes))
        process.start()
        for strike in strikes:
            if strike.seconds:
                process.join(strike.seconds)
                _kill(process.pid or 0, strike)
        process.join()
        for strike in strikes:
            how = "after a time" if strike.seconds else "before an operation"
            tally.kills[f"{strike.who}, {how}"] += strike.token.exists()
        now = {path: path.stat().st_mtime_ns for path in _finished(folder)}
        tally.rewritten += sum(now.get(path) != stamp for path, stamp in stamps.items())
        stamps = now
        if process.exitcode == 0:
            return tally
        if tally.rounds > 20 * (kills + 5):
            raise SystemExit(f"{folder} is not finished after {tally.rounds} rounds")


def _draw(
    folder: Path, rng: np.random.Generator, tally: Tally, kills: int, span: float, operations: int
) -> list[Strike]:
    """What a round holds: one strike, and after a worker's, which a driver survives, one for the driver too."""
    strikes = list[Strike]()
    while tally.kills.total() + len(strikes) < kills and not (strikes and strikes[-1].who != "worker"):
        who = WHO[rng.integers(3)] if not strikes else "driver"
        token = folder.with_name(f"{folder.name}-strike-{tally.rounds}-{len(strikes)}")
        timed = not strikes and bool(rng.integers(2))
        first = operations // 2 if strikes else 1  # late enough for the worker to be hit before
        operation, seconds = int(rng.integers(first, operations + 1)), float(rng.uniform(0, span))
        strikes.append(Strike(who, token, seconds=seconds) if timed else Strike(who, token, operation))
    return strikes


def _kill(driver: int, strike: Strike) -> None:
    """Kill the driver, one of its workers, or all, where they still live."""
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        workers = psutil.Process(driver).children()
        if strike.who == "worker" and not workers:
            return
        if strike.taken():
            if strike.who == "all":
                os.killpg(driver, signal.SIGKILL)
            else:
                os.kill(driver if strike.who == "driver" else workers[0].pid, signal.SIGKILL)


def _finished(folder: Path) -> list[Path]:
    """The records of runs that are done; reading all of them shows that none is half written."""
    return [folder / r.key.folder / "record.json" for r in read_records(folder) if r.status == "done"]


def differences(folder: Path, calm: Path) -> list[str]:
    """In what a disturbed study differs from an undisturbed one, times aside."""
    one, other = ({r.key: r for r in read_records(place)} for place in (folder, calm))
    found = [f"{key}: in one alone" for key in one.keys() ^ other.keys()]
    for key in one.keys() & other.keys():
        if _timeless(one[key]) != _timeless(other[key]):
            found.append(f"{key}: record")
        place = key.folder
        found += [f"{key}: {f}" for f in SAME if (folder / place / f).read_bytes() != (calm / place / f).read_bytes()]
    if read_json(folder / "verdicts.json") != read_json(calm / "verdicts.json"):
        found.append("verdicts.json")
    if read_json(folder / "final.json")["scores"] != read_json(calm / "final.json")["scores"]:
        found.append("final.json")
    litter = {p.relative_to(folder) for p in folder.rglob("*")} ^ {p.relative_to(calm) for p in calm.rglob("*")}
    return found + [f"in one alone: {path}" for path in sorted(litter)]


def _timeless(record: RunRecord) -> Any:
    """A record without what no two runs have in common: times and memory."""
    plain = plain_json(record)
    plain["cost"] = {name: plain["cost"][name] for name in ("parameters", "flops")}
    return plain


def torment(
    shelf: Path,
    calm: Path,
    rng: np.random.Generator,
    kills: int,
    each: int,
    span: float,
    operations: int,
    planned: bool = False,
) -> Iterator[Tally]:
    """Disturb one study after the other, with at most `each` kills, until `kills` were survived.

    `planned` studies begin with the undisturbed one's plan.
    """
    done = 0
    for number in range(20 * kills):
        folder = shelf / f"study-{number}"
        if planned:
            folder.mkdir()
            shutil.copy(calm / "plan.json", folder)
        tally = disturb(folder, rng, min(each, kills - done), span, operations)
        tally.differences = differences(folder, calm)
        done += tally.kills.total()
        yield tally
        if done == kills:
            return
    raise SystemExit(f"only {done} of {kills} strikes hit in {20 * kills} studies; bring them nearer to the start")


def main() -> None:
    """Kill, compare, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=25, help="kills a study at most")
    asked = parser.parse_args()
    rng, tallies = np.random.default_rng(asked.seed), list[Tally]()
    shelf = Path(tempfile.mkdtemp(prefix="ablab-faults-"))
    start = time.monotonic()
    warm()
    undisturbed(shelf / "calm")
    span = time.monotonic() - start
    for tally in torment(shelf, shelf / "calm", rng, asked.kills, asked.each, span / 4, OPERATIONS):
        tallies.append(tally)
        kills = sum(each.kills.total() for each in tallies)
        print(f"{kills} kills, {tally.rounds} rounds: {tally.differences or 'equal'}", flush=True)
    results.write("Faults", _report(tallies, span, time.monotonic() - start))
    shutil.rmtree(shelf)
    if any(tally.differences or tally.rewritten for tally in tallies):
        raise SystemExit(1)


def warm() -> None:
    """Do a run in this process, so that what it loads and compiles need not be loaded after every fork."""
    asked = study()
    with tempfile.TemporaryDirectory(prefix="ablab-faults-") as folder:
        arm = arms(asked)[0]
        train(arm, RunKey(asked.name, arm.name, 0, "warm"), Path(folder), asked.judge, Silent())


def undisturbed(folder: Path) -> None:
    """Drive a study that nobody kills."""
    process = FORK.Process(target=drive, args=(folder,))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the undisturbed study in {folder} did not end well: exit code {process.exitcode}")


def _report(tallies: list[Tally], calm: float, seconds: float) -> str:
    kills = sum((tally.kills for tally in tallies), Counter[str]())
    wrong = [difference for tally in tallies for difference in tally.differences]
    rows = "\n".join(f"| {kind} | {count} |" for kind, count in sorted(kills.items()))
    return f"""{kills.total()} kills with SIGKILL in {len(tallies)} studies of 2 arms x 3 seeds (photo-digits, 64 px,
one epoch, two runs at a time), each driven again until it was finished: {sum(t.rounds for t in tallies)} drivers.

| killed | kills |
| --- | --- |
{rows}

Against an undisturbed study: {len(wrong) or "no"} differences in records, weights, evidence, test scores and verdicts
(times and memory aside) or in the files that are left; {sum(t.rewritten for t in tallies) or "no"} finished records
written twice. {seconds:.0f} s in all; an undisturbed study takes {calm:.0f} s.
""" + "".join(f"\n- {line}" for line in wrong[:20])


if __name__ == "__main__":
    main()
