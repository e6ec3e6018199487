"""The page of a diagnosis: findings first, then what to try, then everything that they were told by.

Drawn from `diagnosis.json` and the pictures beside it alone. No script, nothing fetched, everything escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablab.config import flatten
from ablab.reports import numerals
from ablab.reports.diagnosis import advice, data, errors, fields, network, training
from ablab.reports.diagnosis.block import Block, worded
from ablab.reports.html import templates
from ablab.reports.pictures import data_uris
from ablab.reports.view import Picture

CHAPTERS = {"errors": "Errors", "data": "Data", "network": "Network", "training": "Training"}
HEADLINE = ("AP", "AP50", "AP75", "precision", "recall", "F1")
SOUND = "Nothing was found that calls for a change."
GRAVE, MATTERS = 0.8, 0.4  # severities from which a finding spoils the result, and from which it matters


SHEET = 800  # px from which a picture has the page's width to itself


@dataclass(frozen=True)
class Chapter:
    """A chapter with something to show."""

    key: str
    title: str
    blocks: Sequence[Block]
    pictures: Sequence[Picture]
    notes: Sequence[str]


def as_page(document: Mapping[str, Any], folder: Path) -> str:
    """The diagnosis as HTML, with the pictures that lie under `folder`. What the document lacks is left out."""
    pictures = [_picture(each, folder) for each in fields.rows(document, "pictures")]
    environment = templates()
    environment.globals["worded"] = worded
    return str(
        environment.get_template("diagnosis.html.j2").render(
            name=fields.text(document, "name") or "run",
            facts=_facts(document),
            worst=worst(document),
            scores=scores(document),
            findings=[_finding(each) for each in fields.rows(document, "findings")],
            proposals=[_proposal(each) for each in fields.rows(document, "proposals")],
            chapters=[found for key in CHAPTERS if (found := _chapter(document, key, pictures))],
            uris=data_uris(pictures),
            sheets={picture.file for picture in pictures if _width(picture) > SHEET},
            files=texts(document, "files"),
            notes=texts(document, "notes"),
            settings=flatten(recipe) if (recipe := dict(fields.table(document, "recipe"))) else {},
        )
    )


def worst(document: Mapping[str, Any]) -> str:
    """The gravest finding in its own sentence."""
    return fields.text(document, "findings", 0, "sentence") or SOUND


def scores(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(metric, score) of the metric that decides and of those that everybody quotes."""
    names = dict.fromkeys([fields.text(document, "metric"), *HEADLINE])
    found = [(name, fields.number(document, "scores", name)) for name in names]
    return [(name, numerals.score(value)) for name, value in found if value is not None]


def texts(document: Mapping[str, Any], *path: str | int) -> list[str]:
    """The texts in a list."""
    return [each for each in fields.items(document, *path) if isinstance(each, str)]


def gravity(severity: float) -> str:
    """A severity in a word."""
    return "grave" if severity >= GRAVE else "matters" if severity >= MATTERS else "slight"


def _facts(document: Mapping[str, Any]) -> list[str]:
    seed = fields.number(document, "seed")
    found = [
        fields.text(document, "study"),
        f"seed {seed:g}" if seed is not None else "",
        f"on {split}" if (split := fields.text(document, "split")) else "",
        *(f"{name} {fields.plain(value)}" for name, value in fields.table(document, "settings").items()),
        fields.text(document, "run"),
    ]
    return [each for each in found if each]


def _finding(found: Mapping[str, Any]) -> dict[str, Any]:
    severity = min(max(fields.number(found, "severity") or 0.0, 0.0), 1.0)
    chapter = fields.text(found, "chapter")
    return {
        "fault": fields.text(found, "fault"),
        "severity": severity,
        "gravity": gravity(severity),
        "sentence": fields.text(found, "sentence"),
        "evidence": [(name, fields.plain(value)) for name, value in fields.table(found, "evidence").items()],
        "chapter": chapter if chapter in CHAPTERS else "",
    }


def _proposal(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": fields.text(found, "name"),
        "because": fields.text(found, "because"),
        "faults": texts(found, "faults"),
        "todo": fields.text(found, "todo"),
        "gain": advice.gain(found),
        "bound": fields.text(found, "bound"),
        "cost": advice.cost(found),
        "yaml": advice.as_yaml(found),
    }


def _chapter(document: Mapping[str, Any], key: str, pictures: Sequence[Picture]) -> Chapter | None:
    numbers = fields.table(document, "chapters", key, "numbers")
    blocks = [block for block in _blocks(document, key, numbers) if block]
    mine = [picture for picture in pictures if picture.kind == key]
    notes = texts(document, "chapters", key, "notes")
    return Chapter(key, CHAPTERS[key], blocks, mine, notes) if blocks or mine or notes else None


def _blocks(document: Mapping[str, Any], key: str, numbers: Mapping[str, Any]) -> list[Block]:
    if key != "network":
        return {"errors": errors, "data": data, "training": training}[key].blocks(numbers)
    splits = ("chapters", "data", "numbers", "data", "splits")
    return network.blocks(numbers, fields.pairs(document, *splits, "train", "reach", "quantiles"))


def _picture(found: Mapping[str, Any], folder: Path) -> Picture:
    """A picture with its bytes; without them where its file is missing or is not under `folder`."""
    chapter, title, caption, file = (fields.text(found, name) for name in ("chapter", "title", "caption", "file"))
    path = (folder / file).resolve()
    inside = path.is_relative_to(folder.resolve()) and path.is_file()
    return Picture(chapter, title, caption, file, path.read_bytes() if inside else None)


def _width(picture: Picture) -> int:
    """Its width in pixels, from a PNG's header (its first chunk, at byte 16); 0 where it is none."""
    png = picture.png or b""
    return int.from_bytes(png[16:20], "big") if png.startswith(b"\x89PNG") else 0
