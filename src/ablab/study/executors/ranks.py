"""One training in several processes of this machine: they begin together, and end together whatever happens.

    this process --forkserver--> rank 0, 1, ...      each: join the team, work, say how it went
         ^--- pipes ---------------+                 rank 0 also tells of its progress and hands over its result

A rank that fails says so and then waits to be ended: nobody shall notice its closed connections before its reason.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ablab.engine.distributed import join
from ablab.engine.events import Events, Sender, Silent, replay
from ablab.errors import (
    AblabError,
    ConfigError,
    DataError,
    Diverged,
    RunError,
    StoreError,
    SurgeryError,
    TooLarge,
    UserError,
)
from ablab.recipe import TrainRecipe
from ablab.study.executors.local import die_with_parent, forking

LOST = ("RuntimeError", "DistBackendError", "DistNetworkError")
GRACE = 3.0  # seconds in which a rank's own error waits for news of one that died, which would be its cause


# What can travel as a sentence, the nearest first.
OURS = (Diverged, TooLarge, StoreError, RunError, SurgeryError, DataError, ConfigError, UserError, AblabError)


@dataclass
class _Rank:
    number: int
    process: BaseProcess
    connection: Connection
    done: bool = False


def together(work: Callable[..., Any], arguments: tuple[Any, ...], train: TrainRecipe, events: Events) -> Any:
    """Call the module-level function `work(*arguments, events, team)` in `train.devices` processes at once.

    Returns what rank 0 returned, which travels by pipe. The first error of any rank is raised here, with its own type
    where it is one of ablab's, and ends the others; so does a rank that is killed. When this process dies, the ranks
    notice and end themselves.
    """
    context = forking()
    with tempfile.TemporaryDirectory(prefix="ablab-") as folder:
        ranks: list[_Rank] = []
        try:
            for number in range(train.devices):
                receiver, sender = context.Pipe(duplex=False)
                asked = (sender, number, train, Path(folder) / "meeting", work, arguments)
                process = context.Process(target=_child, args=asked, daemon=False, name=f"rank {number}")
                process.start()
                sender.close()
                ranks.append(_Rank(number, process, receiver))
            return _listen(ranks, events)
        finally:
            for rank in ranks:
                rank.process.terminate()
            for rank in ranks:
                rank.process.join(5)
                if rank.process.is_alive():
                    rank.process.kill()
                rank.connection.close()


def _listen(ranks: Sequence[_Rank], events: Events) -> Any:
    """Show what rank 0 says until all are done; returns its result, or raises what went wrong."""
    result = None
    while left := [rank for rank in ranks if not rank.done]:
        ready = wait([rank.connection for rank in left])
        for rank in (rank for rank in left if rank.connection in ready):
            message = _receive(rank)
            match message:
                case ("done", value):
                    rank.done = True
                    result = value if rank.number == 0 else result
                case ("failed", str(kind), str(text)):
                    # What torch says of a lost connection is a RuntimeError.
                    raise (_dead(ranks) if text.startswith(LOST) else None) or _error(kind, text, rank.number)
                case _:
                    replay(message, events)
    return result


def _receive(rank: _Rank) -> Any:
    try:
        return rank.connection.recv()
    except (EOFError, OSError):
        raise _killed(rank) from None


def _killed(rank: _Rank) -> RunError:
    rank.process.join(5)
    return RunError(f"rank {rank.number}: its process was killed (exit code {rank.process.exitcode})")


def _dead(ranks: Sequence[_Rank]) -> RunError | None:
    """The rank that died, if one does so within a moment: an error about a lost connection is a consequence."""
    end = time.monotonic() + GRACE
    while time.monotonic() < end:
        for rank in ranks:
            if not rank.done and not rank.process.is_alive():
                return _killed(rank)
        time.sleep(0.05)
    return None


def _error(kind: str, text: str, rank: int) -> AblabError:
    return next((c(text) for c in OURS if c.__name__ == kind), RunError(f"rank {rank}: {text}"))


def _kind(failure: Exception) -> str:
    """The nearest class of `OURS`, by name; "" for an error that is not ours."""
    return next((c.__name__ for c in OURS if isinstance(failure, c)), "")


def _child(
    connection: Connection,
    number: int,
    train: TrainRecipe,
    meeting: Path,
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=die_with_parent, daemon=True).start()
    try:
        team = join(train, number, meeting)
        result = work(*arguments, Silent() if number else Sender(connection.send), team)
        connection.send(("done", None if number else result))
        team.leave()
    except Exception as failure:
        kind = _kind(failure)
        if not kind:
            traceback.print_exc(file=sys.stderr)
        connection.send(("failed", kind, str(failure) if kind else f"{type(failure).__name__}: {failure}"))
        threading.Event().wait()
    connection.close()
