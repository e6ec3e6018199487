"""Runs as processes of this machine: one process a run, forked from a warm server that has torch imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ablab.engine.events import Display, Events, Sender, replay
from ablab.errors import AblabError
from ablab.recipe import TrainRecipe
from ablab.study.executors.job import Job, needs
from ablab.study.executors.room import Memory, least_used, visible

KILLED = "its process was killed"
REMEDY = "lower train.batch and raise train.accumulate by as much, or run fewer at a time with --jobs"


@dataclass
class _Running:
    job: Job
    process: BaseProcess
    connection: Connection
    row: Display
    cards: tuple[str, ...] = ()
    expected: float = 0.0  # MB
    error: str = KILLED


class Local:
    """This machine's processes: what does the runs unless something else is asked for."""

    def ready(self, folder: Path, trains: Sequence[TrainRecipe]) -> None: ...

    def at_a_time(self, train: TrainRecipe) -> int:
        """As many as the cores hold at the recipe's processes and threads; where there are GPUs, as many as they do."""
        need, cards = needs(train), len(visible())
        if need.gpus and cards:
            return max(cards // need.gpus, 1)
        return max((os.cpu_count() or 1) // need.cpus, 1)

    def execute(
        self, jobs: Sequence[Job], parallel: int, display: Display, start: Callable[[], bool]
    ) -> Iterator[tuple[Job, str]]:
        return execute(jobs, parallel, display, start)


def execute(
    jobs: Sequence[Job], parallel: int, display: Display, start: Callable[[], bool]
) -> Iterator[tuple[Job, str]]:
    """Do the jobs in order, `parallel` at a time; yields each as it ends, with "" or what went wrong.

    A job on GPUs gets those that the fewest others hold: with more jobs at a time than cards, they share. Another one
    is started only while there is memory for it; one is always under way.

    Before each job `start()` is asked whether to go on. When the caller stops listening (Ctrl-C included), the jobs
    under way are ended; when this process dies, its children notice and end themselves.
    """
    context, cards, memory, said = forking(), visible() if any(job.needs.gpus for job in jobs) else (), Memory(), False
    waiting, running = list(jobs), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                beside = {each.process.pid or 0: each.expected for each in running}
                short = memory.short(waiting[0].memory(), beside) if running else ""
                if short:
                    if not said:
                        display.row("").say(short)
                    said = True
                    break
                if not start():
                    waiting.clear()
                    break
                job = waiting.pop(0)
                mine = least_used(cards, [each.cards for each in running], job.needs.gpus)
                running.append(_launch(context, job, display, mine))
            for ended in _listen(running):
                running.remove(ended)
                yield ended.job, ended.error
    finally:
        for each in running:
            each.process.terminate()
            each.process.join(5)
            if each.process.is_alive():
                each.process.kill()
            each.row.close()


def forking() -> Any:
    """A server that has torch imported, from which processes are forked: each starts in some milliseconds."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns of what `Team.wrap` asks for, in every rank
    # The server must not import the user's main module: a script without a guard would run again.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ablab.study.train", "ablab.tasks.detection.task"])
    return context


def _launch(context: Any, job: Job, display: Display, cards: tuple[str, ...]) -> _Running:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, cards, job.work, job.arguments), daemon=False)
    process.start()
    sender.close()
    return _Running(job, process, receiver, display.row(job.name), cards, job.memory())


def _listen(running: Sequence[_Running]) -> list[_Running]:
    """Show what the running jobs say; returns those that ended."""
    ended = []
    ready = wait([each.connection for each in running], timeout=1.0)
    for each in running:
        if each.connection not in ready:
            continue
        try:
            message = each.connection.recv()
        except (EOFError, OSError):
            each.process.join()
            each.row.close()
            each.connection.close()
            if each.error == KILLED and each.process.exitcode == -signal.SIGKILL:
                each.error = "killed, perhaps out of memory: " + REMEDY
            elif each.error and each.process.exitcode not in (0, None):
                each.error += f" (exit code {each.process.exitcode})"
            ended.append(each)
            continue
        if message[0] == "done":
            each.error = message[1]
        else:
            replay(message, each.row)
    return ended


def _child(
    connection: Connection, cards: tuple[str, ...], work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if cards:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(cards)  # before anything asks the driver
    threading.Thread(target=die_with_parent, daemon=True).start()
    connection.send(("done", attempt(work, arguments, Sender(connection.send))))
    connection.close()


def attempt(work: Callable[..., object], arguments: tuple[Any, ...], events: Events) -> str:
    """Do a job's work in this process; returns "" or what went wrong."""
    try:
        work(*arguments, events)
    except AblabError as failure:
        return str(failure)
    except Exception as failure:
        traceback.print_exc(file=sys.stderr)
        return f"{type(failure).__name__}: {failure}"
    return ""


def die_with_parent() -> None:
    """End this process when the one that asked for it is gone: its results would have no home."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
