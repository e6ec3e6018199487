"""The folder in which a model travels.

    bundle.json                          what it is, where it comes from, how exact each runtime is, a hash of each file
    weights.safetensors, run.json        the network, which makes the folder a run's folder too
    model.onnx, openvino.xml, ...        what was exported

Nothing in it is trusted: every file is held against its hash, and weights that are no safetensors file are refused
unopened. A hash shows damage and mix-ups, not intent: whoever writes a bundle writes its hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ablab.config import Config, parse
from ablab.errors import ConfigError, StoreError, UnknownName
from ablab.export import parity
from ablab.export.runners import RUNTIMES, Arithmetic, Network, Runner, open_runner
from ablab.records import read_json, write_json

FORMAT = 1
CARD = "bundle.json"
WEIGHTS, RUN = "weights.safetensors", "run.json"


class FileEntry(Config):
    """A file of the bundle."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class RuntimeEntry(Config):
    """How exact a runtime was when it was exported, on `images` real images and on the whole validation split.

    `boxes` (pixels) and `scores` are the largest raw differences from the network's own, null where suppression is
    inside; `before` and `after` are the split's metric; `passed` says whether all of it was within the limits.
    """

    file: str
    arithmetic: Arithmetic
    images: int
    boxes: float | None
    scores: float | None
    before: float
    after: float
    passed: bool
    ms: dict[str, float] = Field(description="median milliseconds a batch, by images a batch, where it was exported")


class Preprocessing(Config):
    """What an image must go through before it goes in."""

    image_size: tuple[int, int] = Field(description="(H, W) pixels; the aspect is kept, what is left over is filled")
    fill: int = Field(ge=0, le=255, description="grey level of the letterbox")
    colours: str = "RGB"
    input: str = "uint8 (B, H, W, 3)"
    scale: str = "none: division by 255 is inside the model"


class Provenance(Config):
    """Where the model comes from: the run's key, and fingerprints of its recipe and its data (`manifest`).

    `scores` are those of the run's record, in the arithmetic of its recipe; `machine` is where it was exported.
    """

    study: str
    arm: str
    seed: int
    fingerprint: str
    recipe: str
    ablab: str
    manifest: str
    scores: dict[str, dict[str, float | None]]
    machine: str


class Card(Config):
    """`bundle.json`."""

    format: int = FORMAT
    task: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    thresholds: dict[str, float]
    postprocess: dict[str, Any]
    provenance: Provenance
    licence: str
    metric: str
    tolerance: float
    tolerance_reduced: float = parity.TOLERANCE_REDUCED
    tolerance_int8: float = parity.TOLERANCE_INT8
    runtimes: dict[str, RuntimeEntry] = Field(default_factory=dict)
    files: dict[str, FileEntry] = Field(default_factory=dict)

    def tolerated(self, arithmetic: Arithmetic) -> float:
        """The most that the metric on the validation split may differ in an arithmetic."""
        reduced = self.tolerance_reduced
        return {"fp32": self.tolerance, "bf16": reduced, "fp16": reduced, "int8": self.tolerance_int8}[arithmetic]


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and checked."""

    folder: Path
    card: Card

    def open(
        self,
        runtime: str,
        *,
        network: Network | None = None,
        threads: int | None = None,
        batch: int = 1,
        trusted: bool = False,
    ) -> Runner:
        """Open one of its runtimes; see `open_runner`.

        Raises UnknownName for one that is not in it, ConfigError for one that did not pass its parity check.
        """
        if runtime not in self.card.runtimes:
            raise UnknownName("runtime", runtime, self.card.runtimes, f"the bundle {self.folder}")
        entry = self.card.runtimes[runtime]
        if not entry.passed:
            raise ConfigError(
                f"{self.folder}: {runtime} did not pass when it was exported: {self.card.metric} was {entry.after:.4f} "
                f"instead of {entry.before:.4f}, or its outputs were too far off; take another runtime"
            )
        return open_runner(
            runtime,
            self.folder,
            image_size=self.card.preprocessing.image_size,
            classes=len(self.card.classes),
            network=network,
            threads=threads,
            batch=batch,
            trusted=trusted,
        )


def is_bundle(folder: Path) -> bool:
    """Whether a folder claims to be a bundle."""
    return (folder / CARD).is_file()


def write_card(folder: Path, card: Card, files: Sequence[str]) -> Bundle:
    """Hash the bundle's files and write `bundle.json`, which is what makes the folder a bundle."""
    entries = {name: FileEntry(sha256=digest(folder / name), bytes=(folder / name).stat().st_size) for name in files}
    card = card.model_copy(update={"files": entries})
    write_json(folder / CARD, card.model_dump(mode="json"))
    return Bundle(folder, card)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every file of it.

    Raises ConfigError where it is no bundle, of another format, or where a file is missing, altered or a pickle.
    """
    if not is_bundle(folder):
        raise ConfigError(f"{folder} is no bundle: it has no {CARD}; `ablab export RUN` makes one")
    where = folder / CARD
    try:
        data = read_json(where)
    except StoreError as error:
        raise ConfigError(f"{error}; or copy the bundle again") from None
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
        raise ConfigError(f"{where} has the format {found!r}, and this ablab reads {FORMAT}; export it anew, or update")
    card = parse(Card, data, str(where))
    known = {name: entry for name, entry in card.runtimes.items() if name in RUNTIMES}
    card = card.model_copy(update={"runtimes": known})  # a later ablab may know more
    wanted = {WEIGHTS, RUN}.union(*(RUNTIMES[name].files for name in known))
    if unlisted := sorted(wanted - set(card.files)):
        raise ConfigError(f"{where} has no hash of {unlisted[0]}, which a runtime reads; copy the bundle again")
    for name, entry in card.files.items():
        _check(folder, name, entry)
    return Bundle(folder, card)


def _check(folder: Path, name: str, entry: FileEntry) -> None:
    path = folder / name
    if Path(name).name != name:
        raise ConfigError(f"{folder / CARD} names the file {name!r}, which leads out of the bundle; do not use it")
    if not path.is_file():
        raise ConfigError(f"{path} is missing, and {CARD} lists it; copy the bundle again")
    if name == WEIGHTS:
        refuse_pickle(path)
    if path.stat().st_size != entry.bytes or digest(path) != entry.sha256:
        raise ConfigError(
            f"{path} is not the file that was exported: its SHA-256 is not the one in {CARD}; copy the bundle again"
        )


def refuse_pickle(path: Path) -> None:
    """Raise ConfigError where weights begin as anything but a safetensors file; nothing of them is opened.

    A safetensors file begins with the length of its header in eight bytes, and then `{`.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":
        return
    what = "a pickle" if head[:1] == b"\x80" else "a torch file, with a pickle in it" if head[:2] == b"PK" else "none"
    raise ConfigError(f"{path} is no safetensors file ({what}); it was not opened: opening a pickle runs what is in it")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
