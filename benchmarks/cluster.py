"""Workers, nodes and drivers that die at random moments: does every study end whole?

    python benchmarks/cluster.py --rounds 10 --seed 0

A study of two arms and three seeds on a real Ray cluster of processes on this machine: a head and two nodes of one core
each. In each round three of its processes or nodes are killed at random moments, and the driver is started again until
the study ends. Its records and weights are held against those of an undisturbed study of local processes, to the bit.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

import results
from ablab import records
from ablab.study.executors import ray
from faults import ASKED

STUDY: dict[str, Any] = ASKED | {  # with runs that are long enough to die in
    "name": "cluster",
    "baseline": ASKED["baseline"] | {"train": ASKED["baseline"]["train"] | {"epochs": 4}},
}
KINDS = ("worker", "node", "driver")
KILLS = 3  # a round
LONGEST = 20.0  # seconds between two kills
RUN = 5.0  # about as many as a run takes
SPECIAL = ("machine", "capability", "threads")  # of the environment: what a result's bits may depend on
LOOPBACK = "127.0.0.2"  # nobody else reaches it; Ray takes 127.0.0.1 for "find my address"
Trained = dict[str, tuple[bytes, str, tuple[str, ...]]]


class Machines:
    """A Ray cluster: a head without cores, for drivers, and `nodes` nodes of one core each, which can be lost."""

    def __init__(self, nodes: int = 2) -> None:
        ray.package()
        from ray.cluster_utils import Cluster

        quick = {
            "health_check_initial_delay_ms": 0,
            "health_check_period_ms": 1000,
            "health_check_failure_threshold": 5,
        }
        self._size = {"node_ip_address": LOOPBACK, "object_store_memory": ray.STORE_BYTES}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick, **self._size}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(nodes):
            self.grow()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def grow(self) -> None:
        """Another node."""
        self.cluster.add_node(num_cpus=1, **self._size)

    def lose(self, which: int = 0) -> None:
        """A node loses its power, and another one comes."""
        nodes = sorted(self.cluster.worker_nodes, key=lambda node: node.node_id)
        self.cluster.remove_node(nodes[which % len(nodes)], allow_graceful=False)
        self.grow()


def done(folder: Path) -> dict[Path, int]:
    """{a run's record: when it was written, ns}."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*/record.json")}


def workers(folder: Path) -> list[int]:
    """The processes that do runs of a study now."""
    found = []
    for path in folder.glob("runs/*/*/claim-*.json"):
        try:
            pid = int(json.loads(path.read_text())["pid"])
        except (OSError, ValueError):
            continue
        if psutil.pid_exists(pid):
            found.append(pid)
    return found


def worker(folder: Path, seconds: float = 120.0) -> int:
    """A process that does a run, as soon as there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := workers(folder):
            return found[0]
        time.sleep(0.02)
    raise AssertionError("no run was under way")


def trained(folder: Path) -> Trained:
    """{run: its weights, the hash of its batches, what they may depend on} of the runs that are done."""
    return {
        record.key.folder.as_posix(): (
            (folder / record.key.folder / "weights.safetensors").read_bytes(),
            record.batch_hash,
            tuple(record.environment[name] for name in SPECIAL),
        )
        for record in records.read_records(folder)
        if record.status == "done"
    }


def driver(file: Path, folder: Path, by: list[str], said: Path) -> subprocess.Popen[bytes]:
    """`ablab run`, in a process; what it says is added to a file."""
    command = [sys.executable, "-m", "ablab", "run", str(file), "--folder", str(folder), "--json", *by]
    with said.open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


@dataclass
class Round:
    """What a study went through, and how it ended."""

    killed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    drivers: int = 0
    seconds: float = 0.0
    records: int = 0
    equal: bool = False


def survive(machines: Machines, file: Path, folder: Path, rng: np.random.Generator, whole: Trained) -> Round:
    """Drive one study to its end, with `KILLS` kills on its way or as many as come before it."""
    went, start, stamps = Round(), time.monotonic(), dict[Path, int]()
    by, said = ["--executor", "ray", "--address", machines.address], folder.with_suffix(".log")
    process: subprocess.Popen[bytes] | None = None
    while process is None or process.poll() is None or process.returncode:
        if process is None or process.poll() is not None:
            if process and process.returncode > 0:
                print(f"a driver gave up: {said.read_text()[-500:]}", flush=True)
            went.drivers += 1
            if went.drivers > 5 * (KILLS + 1):
                raise SystemExit(f"{folder} is not finished: {said.read_text()[-2000:]}")
            process = driver(file, folder, by, said)
        if sum(went.killed.values()) == KILLS:
            process.wait()
            continue
        time.sleep(rng.uniform(0, LONGEST))
        kind = KINDS[rng.integers(len(KINDS))]
        if process.poll() is None and kill(kind, machines, process, folder, rng):
            went.killed[kind] += 1
            stamps = done(folder) | stamps
    kept = done(folder).items() >= stamps.items()
    went.seconds, went.records = time.monotonic() - start, len(done(folder))
    went.equal = kept and went.records == len(whole) and trained(folder) == whole
    return went


def kill(
    kind: str, machines: Machines, process: subprocess.Popen[bytes], folder: Path, rng: np.random.Generator
) -> bool:
    """Kill one of a kind, a worker within a run; False where that one had ended."""
    if kind == "node":
        machines.lose(int(rng.integers(2)))
    elif kind == "driver":
        process.kill()
        process.wait()
    else:
        while not workers(folder) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, RUN))
        found = workers(folder)
        if not found:
            return False
        os.kill(found[rng.integers(len(found))], signal.SIGKILL)
    return True


def main() -> None:
    """Do the rounds, print each, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, rounds = np.random.default_rng(asked.seed), list[Round]()
    with tempfile.TemporaryDirectory(prefix="ablab-cluster-") as root:
        file = Path(root) / "study.yaml"
        file.write_text(yaml.safe_dump(STUDY))
        start = time.monotonic()
        if driver(file, Path(root) / "local", [], Path(root) / "local.log").wait():
            raise SystemExit((Path(root) / "local.log").read_text())
        local, whole = time.monotonic() - start, trained(Path(root) / "local")
        machines = Machines()
        for number in range(asked.rounds):
            rounds.append(survive(machines, file, Path(root) / f"round-{number}", rng, whole))
            print(rounds[-1], flush=True)
        machines.cluster.shutdown()
    results.write("Cluster: what dies is done again", report(rounds, local))
    if not all(each.equal for each in rounds):
        raise SystemExit(1)


def report(rounds: list[Round], local: float) -> str:
    """The section."""
    equal, kills = sum(each.equal for each in rounds), sum(sum(each.killed.values()) for each in rounds)
    lines = [
        f"| {n} | {' | '.join(str(each.killed[kind]) for kind in KINDS)} | {each.drivers} | {each.seconds:.0f} | "
        f"{each.records} | {'yes' if each.equal else 'NO'} |"
        for n, each in enumerate(rounds, start=1)
    ]
    return "\n".join(
        [
            f"{kills} kills in {len(rounds)} studies of 2 arms x 3 seeds (photo-digits, 64 px, 4 epochs) on a Ray "
            f"cluster of a head and two nodes of one core. {equal} of {len(rounds)} ended with every record once, none "
            "of them written twice, and with the weights and batch hashes of an undisturbed study of local processes, "
            f"which took {local:.0f} s.",
            "",
            f"| round | {' | '.join(f'{kind}s killed' for kind in KINDS)} | drivers | seconds | records | equal |",
            "| --- " * 8 + "|",
            *lines,
        ]
    )


if __name__ == "__main__":
    main()
