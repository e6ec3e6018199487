"""What executors are asked to do, and what they promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ablab.engine.events import Display
from ablab.recipe import TrainRecipe


@dataclass(frozen=True)
class Needs:
    """What one run takes: CPU cores, and the GPUs that it uses where there are any."""

    cpus: int = 1
    gpus: int = 0


SMALL = Needs()


def needs(train: TrainRecipe) -> Needs:
    """`train.threads` cores, and a GPU unless the recipe says cpu, for each of `train.devices` processes."""
    return Needs(train.threads * train.devices, 0 if train.device == "cpu" else train.devices)


@dataclass(frozen=True)
class Job:
    """A call of a module-level function: `work(*arguments, events)`. Paths among the arguments are absolute.

    `tells` is the file in which the work keeps what a reader wants to know of its progress, where it does. `memory`
    says how many MB such work is known to take by now, 0 where nobody knows.
    """

    name: str
    work: Callable[..., object]
    arguments: tuple[Any, ...]
    needs: Needs = SMALL
    tells: Path | None = None
    memory: Callable[[], float] = float


class Executor(Protocol):
    """Does jobs, each in a process of its own. What a job leaves on disk does not depend on who did it."""

    def ready(self, folder: Path, trains: Sequence[TrainRecipe]) -> None:
        """Refuse what cannot be done, before anything trains: runs of these recipes, which write into `folder`.

        Raises ConfigError for a run that is too large, StoreError for a folder that is not seen where runs are done.
        """

    def at_a_time(self, train: TrainRecipe) -> int:
        """How many runs of a recipe there is room for, 1 or more."""

    def execute(
        self, jobs: Sequence[Job], parallel: int, display: Display, start: Callable[[], bool]
    ) -> Iterator[tuple[Job, str]]:
        """Do the jobs in order, `parallel` at a time; yields each as it ends, with "" or what went wrong.

        Before each job `start()` is asked whether to go on. When the caller stops listening (Ctrl-C included), the
        jobs under way are ended.
        """
