"""TensorBoard: a folder of events a run, in a folder that `tensorboard --logdir` opens."""

from __future__ import annotations

from pathlib import Path

from ablab.records import read_json, write_json
from ablab.study.trackers.entry import Entry

SENT = "ablab.json"  # beside an entry's events, written last: without it they are written anew


class TensorBoard:
    """Writes with torch's own SummaryWriter, which wants the package tensorboard."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sent(self) -> dict[str, str]:
        found = [read_json(path) for path in self.folder.rglob(SENT)]
        return {each["key"]: each["digest"] for each in found}

    def send(self, entry: Entry) -> None:
        from torch.utils.tensorboard import SummaryWriter

        place = self.folder / entry.key
        for old in [place / SENT, *place.glob("events.out.tfevents.*")]:
            old.unlink(missing_ok=True)
        writer = SummaryWriter(str(place))
        try:
            for name, points in entry.curves.items():
                for epoch, value in points:
                    writer.add_scalar(name, value, epoch)
            for name, text in {"status": entry.status, **entry.texts}.items():
                writer.add_text(name, text)
            writer.add_hparams(dict(entry.settings), dict(entry.numbers), run_name=".")
        finally:
            writer.close()
        write_json(place / SENT, {"key": entry.key, "digest": entry.digest})
