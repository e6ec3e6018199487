"""From a trained network to a bundle: write each format, hold it against the network, and keep it only if it agrees.

network --fuse--> Deployed --to_onnx--> model.onnx --> openvino.xml
                     |
                     `--> each runtime: raw outputs on real images, score on the validation split, milliseconds
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ablab.errors import ConfigError, RunError, StoreError, UnknownName
from ablab.export.bundle import CARD, Bundle, Card, RuntimeEntry, write_card
from ablab.export.deployed import Deployed, Outputs, Runner, Standin
from ablab.export.extra import need
from ablab.export.fuse import fuse
from ablab.export.onnx import to_onnx, with_suppression, write_onnx
from ablab.export.openvino import write_openvino
from ablab.export.parity import compare
from ablab.export.program import write_program
from ablab.export.quantize import write_int8
from ablab.export.runners import RUNTIMES, open_runner
from ablab.export.tensorrt import find_trtexec, write_engine
from ablab.measure.latency import in_turn
from ablab.records import read_json, write_json

FORMATS = ("onnx", "openvino", "openvino-fp16", "onnx-int8", "openvino-int8", "torch-export", "tensorrt")
BATCHES = (1, 16)  # images at once, at which every runtime is timed
PACKAGES = {"openvino": "openvino", "openvino-fp16": "openvino", "tensorrt": "tensorrt", "onnx": "onnxruntime"}
PACKAGES |= {"onnx-int8": "onnxruntime", "openvino-int8": "openvino"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Model:
    """What is shipped, and how it is judged.

    `network` stands in evaluation mode; `images` (n, H, W, 3) uint8 are real ones, letterboxed; `score` gives the
    metric of a network on the validation split, in float32; `run` is the folder with run.json and the weights.
    `training` (m, H, W, 3) uint8 are training images without augmentation, on which int8 measures its ranges.
    """

    network: nn.Module
    images: np.ndarray
    score: Callable[[nn.Module], float]
    run: Path
    training: np.ndarray | None = None


@dataclass(frozen=True)
class _Reference:
    """What the network itself gives: raw outputs on the images, and its score."""

    outputs: Outputs
    score: float


def ship(
    model: Model, card: Card, folder: Path, formats: Sequence[str], nms: bool = False, say: Say = lambda text: None
) -> Bundle:
    """Export into `folder`, which must not be there or be empty, and return the bundle.

    `card` says what the bundle will say, but for runtimes and files. torch is always among the runtimes. Where a format
    disagrees with the network, or its score is off by more than `card.tolerance`, nothing is written. A runtime that
    rounds more than its file (bf16) and is off is only marked, and never chosen.

    Raises UnknownName, ConfigError for what is missing or in the way, RunError where a format disagrees.
    """
    _check(folder, formats, card, nms)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
            place = Path(made)
            names = _write(model, card, place, formats, nms, say)
            entries = _measure(model, card, place, names, say)
            files = sorted(path.name for path in place.iterdir())
            card = write_card(place, card.model_copy(update={"runtimes": entries}), files).card
            folder.mkdir(exist_ok=True)
            for name in [*files, CARD]:  # the card last: without it the folder is no bundle
                shutil.move(place / name, folder / name)
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror or error}; give another --folder") from None
    return Bundle(folder, card)


def _check(folder: Path, formats: Sequence[str], card: Card, nms: bool) -> None:
    """Everything that can be known to fail before the work begins."""
    for name in formats:
        if name in RUNTIMES and name not in FORMATS:
            made = RUNTIMES[name].format
            how = {"onnx-nms": "--nms makes it", "torch": "every bundle has it"}.get(made, f"--to {made} makes it")
            raise ConfigError(f"{name} is a runtime, not a format: {how}")
        if name not in FORMATS:
            raise UnknownName("format", name, FORMATS)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not empty; give another --folder, or remove it first")
    if "tensorrt" in formats:
        find_trtexec(card.preprocessing.image_size)
    if {*formats} - {"torch-export"} or nms:
        need("onnx")
    for name in formats:
        if name in PACKAGES:
            need(PACKAGES[name])


def _write(model: Model, card: Card, place: Path, formats: Sequence[str], nms: bool, say: Say) -> list[str]:
    """Write the files of every format; returns the runtimes that they make."""
    shutil.copyfile(model.run / "weights.safetensors", place / "weights.safetensors")
    write_json(place / "run.json", _without_places(read_json(model.run / "run.json")))
    pixels = torch.from_numpy(_repeated(model.images, 2))
    example = pixels.permute(0, 3, 1, 2).float() / 255
    deployed = Deployed(fuse(model.network, example)).eval()
    written = ["torch", *dict.fromkeys(formats)]
    onnx = None
    if {*formats} - {"torch-export"} or nms:
        say("write ONNX")
        onnx = to_onnx(deployed, pixels)
    if onnx and ("onnx" in formats or "tensorrt" in formats):
        write_onnx(onnx, place / "model.onnx")
    if onnx and nms:
        write_onnx(with_suppression(onnx, card.postprocess), place / "model-nms.onnx")
        written.append("onnx-nms")
    for name in ("openvino", "openvino-fp16"):
        if name in formats:
            say(f"write {name}")
            write_openvino(onnx, place / RUNTIMES[name].file, half=name == "openvino-fp16")
    for name in ("onnx-int8", "openvino-int8"):
        if name in formats:
            say(f"write {name}: measure ranges on {len(_training(model))} training images")
            write_int8(onnx, _training(model), place / RUNTIMES[name].file)
    if "torch-export" in formats:
        say("write torch-export")
        write_program(deployed, pixels, place / "model.pt2")
    if "tensorrt" in formats:
        say("trtexec builds an engine; that takes minutes")
        write_engine(place / "model.onnx", place / "model.engine", card.preprocessing.image_size)
    return [name for name, runtime in RUNTIMES.items() if runtime.format in written]


def _without_places(data: Any) -> Any:
    """JSON data with the last part of every absolute path alone: where things lay at home stays there."""
    if isinstance(data, dict):
        return {name: _without_places(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_without_places(value) for value in data]
    return Path(data).name if isinstance(data, str) and Path(data).is_absolute() else data


def _training(model: Model) -> np.ndarray:
    if model.training is None:
        raise ConfigError("int8 measures its ranges on training images, and none were given; give Model(training=...)")
    return model.training


def _measure(model: Model, card: Card, place: Path, names: Sequence[str], say: Say) -> dict[str, RuntimeEntry]:
    """Every runtime against the network. Raises RunError for a file that is not the same model."""
    with torch.inference_mode():
        boxes, scores = Deployed(model.network).eval()(torch.from_numpy(model.images))
    say(f"score the network itself in float32 on the validation split: {card.metric}")
    reference = _Reference((boxes.numpy(), scores.numpy()), model.score(model.network))
    entries: dict[str, RuntimeEntry] = {}
    for name in names:
        say(f"check {name}")
        runner = _open(model, card, place, name, batch=1)
        entries[name] = entry = _entry(model, card, name, runner, reference)
        if not entry.passed and not _only_rounds_more(name, entries):
            raise RunError(_refusal(name, entry, card))
    return _timed(model, card, place, entries)


def _only_rounds_more(name: str, entries: Mapping[str, RuntimeEntry]) -> bool:
    """Whether the same file passed already, in more exact arithmetic."""
    return any(e.passed and e.file == entries[name].file for other, e in entries.items() if other != name)


def _open(model: Model, card: Card, place: Path, name: str, batch: int) -> Runner:
    return open_runner(
        name,
        place,
        image_size=card.preprocessing.image_size,
        classes=len(card.classes),
        network=lambda: model.network,
        threads=torch.get_num_threads(),
        batch=batch,
        trusted=True,  # it was written by this process
    )


def _entry(model: Model, card: Card, name: str, runner: Runner, reference: _Reference) -> RuntimeEntry:
    runtime = RUNTIMES[name]
    boxes: float | None = None
    scores: float | None = None
    within = True
    if runtime.format != "onnx-nms":  # what suppression leaves has no counterpart among the raw outputs
        side = max(card.preprocessing.image_size)
        off = compare(runner(model.images), reference.outputs, side, runtime.exact, runtime.arithmetic == "int8")
        boxes, scores, within = off.boxes, off.scores, off.within
    after = model.score(Standin(runner))
    return RuntimeEntry(
        file=runtime.file,
        arithmetic=runtime.arithmetic,
        images=len(model.images),
        boxes=boxes,
        scores=scores,
        before=reference.score,
        after=after,
        passed=within and abs(after - reference.score) <= card.tolerated(runtime.arithmetic),
        ms={},
    )


def _refusal(name: str, entry: RuntimeEntry, card: Card) -> str:
    raw = "" if entry.boxes is None else f", raw outputs differ by {entry.boxes:.3g} pixels and {entry.scores:.3g}"
    tolerated = card.tolerated(RUNTIMES[name].arithmetic)
    return (
        f"{name} is not the same model: {card.metric} is {entry.after:.4f} instead of {entry.before:.4f} on the "
        f"validation split, where {tolerated:g} is tolerated{raw}; nothing was written: leave "
        f"{RUNTIMES[name].format} out, or state another --tolerance"
    )


def _timed(model: Model, card: Card, place: Path, entries: Mapping[str, RuntimeEntry]) -> dict[str, RuntimeEntry]:
    """The entries with median milliseconds a batch, all runtimes in turn."""
    ms: dict[str, dict[str, float]] = {name: {} for name in entries}
    for batch in BATCHES:
        images = _repeated(model.images, batch)
        calls = {name: partial(_open(model, card, place, name, batch), images) for name in entries}
        for name, latency in in_turn(calls, rounds=10, warmup=2).items():
            ms[name][str(batch)] = latency.median_ms
    return {name: entry.model_copy(update={"ms": ms[name]}) for name, entry in entries.items()}


def _repeated(images: np.ndarray, count: int) -> np.ndarray:
    """`count` images, the first ones again where there are fewer."""
    return np.ascontiguousarray(images[np.arange(count) % len(images)])
