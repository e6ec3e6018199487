"""A picture of what a part does, as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ablab.catalogue.card import Card
from ablab.catalogue.pictures import losses, maps, scenes, weights
from ablab.measure.seeding import forked
from ablab.registry import Entry
from ablab.reports.canvas import THEME, styled
from ablab.surgery.specimen import Specimen, specimen

DOTS = 144  # an inch
_DRAWN: dict[str, Callable[[Any, Specimen], str]] = {
    **dict.fromkeys(("activation", "attention", "norm", "conv", "upsample", "dropout", "wrapper"), maps.draw),
    "backbone": scenes.backbone,
    "augmentation": scenes.augmentation,
    "assigner": scenes.assigner,
    "sampler": scenes.sampler,
    "box_loss": losses.box,
    "class_loss": losses.classification,
    "distribution_loss": losses.distribution,
    "initialisation": weights.initialisation,
    "optimizer": weights.optimizer,
}


def picture(entry: Entry, card: Card) -> bytes:
    """Draw a part, as it is by default and as it starts.  -> PNG

    Raises ContractError for a part with an argument that has no default; what a broken part raises comes through.
    """
    from matplotlib.figure import Figure

    with styled(), forked("picture", entry.slot, entry.name):
        figure = Figure(figsize=(10, 6), dpi=DOTS, facecolor=THEME["paper"])
        note = _DRAWN[entry.slot](figure, specimen(entry))
        high = float(figure.get_figheight())
        name = entry.name if ":" in entry.name else f"{entry.slot}/{entry.name}"
        figure.text(0.02, 1 - 0.14 / high, name, fontsize=15, weight="bold", va="top")
        figure.text(0.02, 1 - 0.42 / high, _cut(card.line.replace("`", "")), fontsize=10.5, va="top")
        figure.text(0.02, 0.1 / high, note, fontsize=9, color=THEME["muted"], va="bottom")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", facecolor=THEME["paper"])
    return buffer.getvalue()


def _cut(line: str, most: int = 125) -> str:
    return line if len(line) <= most else line[: most - 1].rsplit(" ", 1)[0] + " …"
