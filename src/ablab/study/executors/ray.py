"""Runs as tasks of a Ray cluster: where they go, and that they are tried again, is Ray's.

    driver --- task ---> a worker process, one a run, on some node --- record, progress ---+
      ^                                                                                    v
      +--------------------- looks every second ------------------ the study's folder, which all nodes share

Nothing large passes through Ray. A run whose worker or node dies is started again elsewhere and goes on from its
snapshot; runs of a driver that died are ended by Ray, and the next driver does what is missing. That a run is never
done twice at once is the claims' affair (study/claims.py): a try that Ray starts while the one before still lives, on a
node that was cut off and not dead, waits for it.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import ablab
from ablab.engine.events import Display, Silent
from ablab.errors import ConfigError, RunError, StoreError
from ablab.recipe import TrainRecipe
from ablab.records import read_json, write_bytes
from ablab.study.executors.job import Job, Needs, needs
from ablab.study.executors.local import REMEDY, attempt

RETRIES = 3  # of a run whose worker or node died; each goes on from the last snapshot
LOOK_SECONDS = 1.0  # between two looks at what the runs tell of themselves
SHARE = 0.05  # of the time: where a look takes longer than this share of it, they come less often
REACH_SECONDS = 10.0  # for the cluster's head to answer
NODES_SECONDS = 15.0  # between two looks at which nodes are left
SIGHT_SECONDS = 120.0  # for a node to start a worker and look at the folder
STORE_BYTES = 80 * 2**20  # Ray's object store, in /dev/shm; 75 MB is the least it takes
Node = Mapping[str, Any]  # as Ray lists it

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray warns of a default that will change; no run here depends on it
    "RAY_task_oom_retries": "1",  # without it Ray tries a run that is too large for its node for ever
}
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # as on those two, Ray's processes listen on 127.0.0.1 alone


@contextmanager
def cluster(address: str | None, gpus_per_run: float | None) -> Iterator[Ray]:
    """The cluster at `address` (HOST:PORT, or `auto`: the one whose node this is), else one of this machine alone.

    The latter is ended at the end; so is the connection, unless there was one before. Raises ConfigError where Ray is
    not installed or the cluster cannot be joined, RunError where Ray does not start.
    """
    ray = package(QUIET if address else QUIET | ALONE)
    if address and "://" in address:
        raise ConfigError("--address wants HOST:PORT or auto: the study is driven from a node of the cluster")
    own = not ray.is_initialized()
    if own:
        _join(ray, address)
    made = Ray(ray, gpus_per_run)
    try:
        yield made
    finally:
        made.close()
        if own:
            ray.shutdown()


def package(settings: Mapping[str, str] = QUIET) -> ModuleType:
    """Ray, imported with settings of its environment. Raises ConfigError where it is not installed."""
    for name, value in settings.items():  # read when Ray is imported
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"--executor ray wants the package ray, which cannot be imported ({error}); pip install 'ablab[ray]'"
        ) from None
    return ray


def _reach(address: str) -> None:
    """ConfigError where nobody answers at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
    except ValueError:
        raise ConfigError(f"--address wants HOST:PORT or auto, got '{address}'") from None
    except OSError as error:
        raise ConfigError(
            f"--address {address}: nobody answers there ({error.strerror or error}); `ray status` on a node of the "
            "cluster shows its address, and without --address Ray runs on this machine alone"
        ) from None


def _join(ray: ModuleType, address: str | None) -> None:
    if address and address != "auto":
        _reach(address)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    ray._private.worker._worker_logs_enabled = False  # its news of nodes go to standard output, which has --json's
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=os.cpu_count(),
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                **quiet,
            )
    except Exception as error:  # Ray raises Exception itself where a node does not come up
        said = str(error).strip().partition("\n")[0]
        if address:
            raise ConfigError(
                f"--address {address}: cannot join this Ray cluster: {said}; `ray status` shows one that runs on this "
                "machine, and without --address Ray runs on this machine alone"
            ) from None
        raise RunError(f"Ray does not start: {said}; --executor local does without") from None


class Ray:
    """A cluster that is joined. A run on GPUs gets `gpus_per_run` of one, whole ones where it takes several."""

    def __init__(self, ray: Any, gpus_per_run: float | None) -> None:
        self._ray, self._share = ray, gpus_per_run
        self._token: Path | None = None  # a file that every worker must see

    def close(self) -> None:
        """Take away what was written for the workers alone."""
        if self._token:
            self._token.unlink(missing_ok=True)
        self._token = None

    def ready(self, folder: Path, trains: Sequence[TrainRecipe]) -> None:
        nodes = self._nodes()
        for of in dict.fromkeys(map(needs, trains)):
            need = self._resources(of, nodes)
            if not any(_fits(node, need) for node in nodes):
                raise ConfigError(
                    f"a run wants {_said(need, need)} (train.threads x train.devices, --gpus-per-run), and no node has "
                    f"as much: {'; '.join(_said(node['Resources'], need) for node in nodes)}"
                )
        self.close()
        self._token = folder.absolute() / f".token.{uuid.uuid4().hex}"  # of a name that `tidy.sweep` knows
        write_bytes(self._token, b"")
        self._see(self._token, nodes)

    def at_a_time(self, train: TrainRecipe) -> int:
        """As many as the nodes hold now. With more, by --jobs, runs wait in Ray's queue for nodes to come."""
        nodes = self._nodes()
        need = self._resources(needs(train), nodes)
        return max(sum(_fits(node, need) for node in nodes), 1)

    def execute(
        self, jobs: Sequence[Job], parallel: int, display: Display, start: Callable[[], bool]
    ) -> Iterator[tuple[Job, str]]:
        waiting, running, nodes = list(jobs), dict[Any, _Running](), self._nodes()
        look, told, due = _Looks(), False, time.monotonic() + NODES_SECONDS
        try:
            while waiting or running:
                while waiting and len(running) < parallel:
                    if not start():
                        waiting.clear()
                        break
                    job = waiting.pop(0)
                    running[self._submit(job, nodes)] = _Running(job, display.row(job.name))
                for ref in self._ended(list(running)):
                    each = running.pop(ref)
                    error, said = self._end(ref)
                    for text in said:
                        each.row.say(text)
                    each.row.close()
                    yield each.job, error
                look.at(running.values())
                if time.monotonic() >= due:
                    stranded = self._stranded((each.job.needs for each in running.values()), nodes)
                    if stranded and not told:
                        display.row("").say(stranded)
                    told, due = bool(stranded), time.monotonic() + NODES_SECONDS
        finally:
            for ref, each in running.items():
                self._ray.cancel(ref, force=True)
                each.row.close()

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _resources(self, of: Needs, nodes: Sequence[Node]) -> dict[str, float]:
        """What a run asks Ray for. GPUs only where there are some: a recipe's `auto` is the CPU elsewhere."""
        if not of.gpus or not any(node["Resources"].get("GPU") for node in nodes):
            return {"CPU": of.cpus}
        return {"CPU": of.cpus, "GPU": (self._share or 1) if of.gpus == 1 else of.gpus}

    def _stranded(self, asked: Iterable[Needs], first: Sequence[Node]) -> str:
        """What to say where no node is left that could do one of the runs, asked for as of the `first` nodes; or ""."""
        nodes = self._nodes()
        for need in (self._resources(of, first) for of in dict.fromkeys(asked)):
            if not any(_fits(node, need) for node in nodes):
                return f"no node with {_said(need, need)} is left in the cluster; its runs wait for one to come"
        return ""

    def _see(self, token: Path, nodes: Sequence[Node]) -> None:
        """StoreError where a node does not see the study's folder, or has another ablab; none for one that dies."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = {}
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            look = self._ray.remote(_sees).options(num_cpus=0, scheduling_strategy=there)
            asked[look.remote(token, ablab.__version__)] = f"{node['NodeManagerHostname']} {node['NodeManagerAddress']}"
        done, late = self._ray.wait(list(asked), num_returns=len(asked), timeout=SIGHT_SECONDS)
        for ref in late:
            self._ray.cancel(ref, force=True)
        answers = [(asked[ref], self._answer(ref)) for ref in done]  # two nodes may be of one name
        blind = [f"node {name}: {answer}" for name, answer in answers if answer]
        if blind:
            raise _blind("; ".join(blind), token)
        if all(answer is None for _, answer in answers):
            raise StoreError(
                f"no node of the cluster has looked at {token.parent}: each died over it, lacked memory, or did not "
                f"answer within {SIGHT_SECONDS:.0f} s; `ray status` tells of them"
            )

    def _answer(self, ref: Any) -> str | None:
        """What a node found wrong, "" for nothing; None where it died over it."""
        try:
            return str(self._ray.get(ref))
        except self._ray.exceptions.RayTaskError as error:
            return _last_line(error)
        except self._ray.exceptions.RayError:
            return None

    def _submit(self, job: Job, nodes: Sequence[Node]) -> Any:
        asked = self._resources(job.needs, nodes)
        task = self._ray.remote(max_calls=1)(_do)  # a process a run: the next one finds nothing of this one's
        options = task.options(name=job.name, num_cpus=asked["CPU"], num_gpus=asked.get("GPU", 0), max_retries=RETRIES)
        return options.remote(job.work, job.arguments, self._token, ablab.__version__)

    def _ended(self, refs: list[Any]) -> list[Any]:
        """All tasks that have ended, or none after `LOOK_SECONDS`."""
        if not refs or not self._ray.wait(refs, num_returns=1, timeout=LOOK_SECONDS)[0]:
            return []
        ended, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        return list(ended)

    def _end(self, ref: Any) -> tuple[str, tuple[str, ...]]:
        """How a task ended: "" or what went wrong, and what it had to say. Raises StoreError for a blind worker."""
        errors = self._ray.exceptions
        try:
            seen, error, said = self._ray.get(ref)
        except errors.OutOfMemoryError:
            return "killed by Ray, as its node was nearly out of memory: " + REMEDY, ()
        except errors.WorkerCrashedError:
            return f"killed {RETRIES + 1} times, perhaps out of memory: {REMEDY}", ()
        except errors.NodeDiedError:
            return f"its node died, and so did those of {RETRIES} further tries", ()
        except errors.RayError as error:
            return f"{type(error).__name__}: {_last_line(error)}", ()
        if seen:
            raise _blind(seen, self._token)
        return error, said


@dataclass
class _Running:
    job: Job
    row: Display
    total: int = -1

    def show(self, told: Mapping[str, Any]) -> None:
        """Show what a run's progress.json tells. A try after another may tell of fewer steps than before."""
        done, total = told.get("done"), told.get("total")
        if done is None or total is None:
            return
        if total != self.total:
            self.row.close()
            self.row.begin(str(told.get("work") or "run"), total)
            self.total = total
        names = {"epoch": "epoch", "loss": "loss", "images/s": "images_per_second"}
        self.row.advance(done, {name: told[of] for name, of in names.items() if told.get(of) is not None})


class _Looks:
    """Reads what the runs tell of themselves, seldom enough to cost nothing: a thousand files lie on a network disk."""

    def __init__(self) -> None:
        self._next = 0.0

    def at(self, running: Iterable[_Running]) -> None:
        start = time.monotonic()
        if start < self._next:
            return
        for each in running:
            if each.job.tells:
                each.show(_told(each.job.tells))
        now = time.monotonic()
        self._next = now + max(LOOK_SECONDS, (now - start) / SHARE)


def _told(path: Path) -> Mapping[str, Any]:
    """A run's progress; {} where it has not begun, or has ended."""
    try:
        found = read_json(path)
    except StoreError:
        return {}
    return found if isinstance(found, Mapping) else {}


class _Ear(Silent):
    """Keeps a run's sentences for the driver."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def _do(
    work: Callable[..., object], arguments: tuple[Any, ...], token: Path | None, version: str
) -> tuple[str, str, tuple[str, ...]]:
    """In a worker: one run; returns what keeps this node from it, what went wrong, and what it said."""
    seen = _sees(token, version) if token else ""
    if seen:
        return f"node {platform.node()}: {seen}", "", ()
    ear = _Ear()
    error = attempt(work, arguments, ear)
    return "", error, tuple(ear.said)


def _sees(token: Path, version: str) -> str:
    """In a worker: what keeps this node from doing runs, "" for nothing."""
    if ablab.__version__ != version:
        return f"it has ablab {ablab.__version__}, the driver {version}"
    if not token.exists():
        return f"it does not see the file {token}, which the driver wrote"
    if not os.access(token.parent, os.W_OK | os.X_OK):
        return f"it may not write into {token.parent}"
    return ""


def _blind(said: str, token: Path | None) -> StoreError:
    place = token.parent if token else "the same path"
    return StoreError(
        f"{said}. Every node needs the study's folder at {place}, on a disk that they share, and the same ablab"
    )


def _fits(node: Node, need: Mapping[str, float]) -> int:
    """How many runs a node holds."""
    return min(math.floor(node["Resources"].get(name, 0) / amount + 1e-9) for name, amount in need.items())


def _said(amounts: Mapping[str, float], names: Iterable[str]) -> str:
    return " and ".join(f"{amounts.get(name, 0):g} {name}" for name in names)


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
