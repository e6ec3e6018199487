"""Trainings for the tests of teams, importable by their processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.layers.norm_act import BatchNormAct2d
from tiny import Tiny, recipe
from torch import nn

from ablab.config import override
from ablab.engine.checkpoint import save_weights
from ablab.engine.distributed import ALONE, Team
from ablab.engine.events import Events, Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.snapshot import Snapshots
from ablab.errors import DataError
from ablab.measure.seeding import forked
from ablab.recipe import Recipe
from ablab.study.executors.ranks import together


def plain() -> nn.Module:
    """No batch norm, no dropout: what one sample teaches does not depend on its neighbours."""
    with forked("teamwork"):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.PReLU(8), nn.Flatten(), nn.Linear(72, 3)
        )


def batch_normed() -> nn.Module:
    """Two kinds of batch norm, timm's with its activation inside; nothing draws."""
    with forked("teamwork"):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), BatchNormAct2d(8), nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Flatten(),
            nn.Linear(72, 3),
        )  # fmt: skip


def normed() -> nn.Module:
    """Everything that draws or remembers."""
    from tiny import fresh

    return fresh()


def asked(devices: int, changes: dict[str, Any] | None = None, **train: Any) -> Recipe:
    """SGD, so that rounding is not blown up by a division by a tiny second moment."""
    settings = {"devices": devices, "ema": None, "checkpoint": "last", "epochs": 2} | train
    sgd = {"optimizer": {"name": "sgd", "lr": 0.1}}
    return override(recipe(**settings), sgd | (changes or {}))


def train(given: Recipe, network: str, folder: Path | None, events: Events, team: Team = ALONE) -> dict[str, Any]:
    """Train; every rank leaves its weights in the folder. Rank 0's outcome as plain data."""
    model = globals()[network]()
    fitted = _fit(given, model, folder, events, team)
    if folder:
        save_weights(folder / f"{team.rank}.safetensors", fitted.model)
    return {
        "weights": {name: tensor.numpy() for name, tensor in fitted.model.state_dict().items()},
        "hash": fitted.batch_hash,
        "losses": [row["loss"] for row in fitted.curves],
        "accuracy": [row.get("validation/accuracy") for row in fitted.curves],
        "steps": fitted.steps,
        "environment": fitted.environment,
    }


def _fit(given: Recipe, model: nn.Module, folder: Path | None, events: Events, team: Team) -> Fitted:
    task = Tiny(given)
    kept = Snapshots(folder / "snapshot.safetensors", "team", 0) if folder else None
    return fit(
        task,
        model,
        task.data(("study", 0)),
        given,
        key=("study", 0),
        events=events,
        metric="accuracy",
        snapshots=kept,
        team=team,
    )


def mistake(given: Recipe, events: Events, team: Team) -> None:
    """Rank 1's data is broken in its third batch; rank 0 waits for it."""
    torch.set_num_threads(1)
    team.gather("ready")
    if team.rank == 1:
        raise DataError("image-7.png is no image")
    team.gather("never")


def bug(given: Recipe, events: Events, team: Team) -> None:
    if team.rank == 1:
        raise ZeroDivisionError("one by zero")
    team.gather("never")


def killed(given: Recipe, events: Events, team: Team) -> None:
    team.gather("ready")
    if team.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    team.gather("never")


def slow(path: Path, events: Events, team: Team) -> None:
    """Writes every rank's process, then waits in a collective that nobody ends."""
    (path / str(team.rank)).write_text(str(os.getpid()))
    if team.leads:
        time.sleep(600)
    team.gather("never")


def parent(path: Path) -> None:
    """A process that has ranks, as a study's run has."""
    together(slow, (path,), asked(2).train, Silent())


def killed_in_training(given: Recipe, folder: Path, after: int, events: Events, team: Team) -> Any:
    """The process of rank 1 dies after some steps; snapshots are taken at each."""

    class Count(Silent):
        def advance(self, done: int, values: Any) -> None:
            if done >= after:
                (folder / "reached").touch()

    def die() -> None:
        while not (folder / "reached").exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)

    if team.rank == 1:
        threading.Thread(target=die, daemon=True).start()
    return train(given, "normed", folder, Count(), team)


def collectives(events: Events, team: Team) -> dict[str, Any]:
    """What each collective gives on this rank."""
    told = team.told({"AP": 0.25, "nan": float("nan"), "names": ["ä"]} if team.leads else None)
    return {
        "told": told,
        "gathered": team.gather(f"rank {team.rank}"),
        "average": team.average(torch.tensor([float(team.rank), 2.0])).tolist(),
        "shares": [team.share(range(n)) for n in (5, 4, 1)],
    }


def weights(path: Path) -> dict[str, np.ndarray]:
    from ablab.engine.checkpoint import read_weights

    return {name: tensor.numpy() for name, tensor in read_weights(path).items()}
