"""Weights & Biases: offline into a folder, which `wandb sync` sends, or straight to its server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ablab.config import fingerprint
from ablab.records import read_json, write_json
from ablab.study.trackers.entry import Entry

SENT = "ablab.json"


class Wandb:
    """A run a record, grouped by arm. What was sent is kept in the folder: an offline run cannot be asked for."""

    name = "wandb"

    def __init__(self, folder: Path, mode: Literal["offline", "online"] = "offline") -> None:
        self.folder, self.mode = folder, mode

    def sent(self) -> dict[str, str]:
        path = self.folder / SENT
        return read_json(path) if path.exists() else {}

    def send(self, entry: Entry) -> None:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=entry.study,
            group=entry.group,
            name=entry.title,
            id=fingerprint([entry.key, entry.digest]),
            dir=str(self.folder),
            mode=self.mode,
            config={"status": entry.status, **entry.settings, **entry.texts},
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True),
        )
        rows: dict[int, dict[str, float]] = {}
        for name, points in entry.curves.items():
            for epoch, value in points:
                rows.setdefault(epoch, {})[name] = value
        for epoch, row in sorted(rows.items()):
            run.log(row, step=epoch)
        run.summary.update(dict(entry.numbers))
        run.finish(exit_code=0 if entry.status == "done" else 1)
        write_json(self.folder / SENT, {**self.sent(), entry.key: entry.digest})
