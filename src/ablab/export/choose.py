"""The fastest runtime of a bundle on this machine, by measuring those that are still the same model here."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from ablab.config import Config, parse
from ablab.errors import AblabError, ConfigError, StoreError
from ablab.export.bundle import Bundle
from ablab.export.deployed import Outputs, Runner
from ablab.export.parity import compare
from ablab.export.runners import RUNTIMES, Network
from ablab.measure.latency import in_turn
from ablab.records import read_json, write_json

MEASURED = "measured.json"
ROUNDS = 10
PACKAGES = ("torch", "onnxruntime", "openvino")


class Row(Config):
    """One runtime here: median milliseconds a batch where it ran and agreed, else why it was left out."""

    runtime: str
    ms: float | None
    note: str = ""


@dataclass(frozen=True)
class Chosen:
    """The fastest runtime, opened, and all that were tried."""

    name: str
    runner: Runner
    table: tuple[Row, ...]


class _Measured(Config):
    table: tuple[Row, ...]


def choose(
    bundle: Bundle,
    *,
    network: Network | None = None,
    threads: int | None = None,
    batch: int = 1,
    rounds: int = ROUNDS,
    images: np.ndarray | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Chosen:
    """Time every runtime that passed its parity check at `batch` images, in turn, and open the fastest.

    Each is also held against the first exact one on `images` (noise unless given): what a processor makes of bf16
    differs from machine to machine. The table is kept in the bundle's folder, where that can be written, and used again
    on the same machine; `say` is told where it is made anew. Raises ConfigError where none runs.
    """
    key = _key(threads, batch)
    fastest = _fastest(known := _remembered(bundle, key))
    if fastest:
        with suppress(AblabError):  # it ran once; where it does not any more, measure again
            return Chosen(fastest, bundle.open(fastest, network=network, threads=threads, batch=batch), known)
    say(f"first use on this machine: time every runtime of {bundle.folder}")
    images = _noise(batch, bundle.card.preprocessing.image_size) if images is None else images
    opened, rows = _open(bundle, network, threads, batch, images)
    latencies = in_turn({name: partial(runner, images) for name, runner in opened.items()}, rounds)
    rows |= {name: Row(runtime=name, ms=latency.median_ms) for name, latency in latencies.items()}
    table = tuple(rows.values())
    if not (fastest := _fastest(table)):
        said = "; ".join(f"{row.runtime}: {row.note}" for row in table)
        raise ConfigError(f"no runtime of {bundle.folder} runs here: {said or 'none passed its parity check'}")
    _remember(bundle, key, table)
    return Chosen(fastest, opened[fastest], table)


def _open(
    bundle: Bundle, network: Network | None, threads: int | None, batch: int, images: np.ndarray
) -> tuple[dict[str, Runner], dict[str, Row]]:
    """The runners that agree with the first exact one, and rows for those that do not, or do not run."""
    opened: dict[str, Runner] = {}
    rows: dict[str, Row] = {}
    reference: Outputs | None = None
    names = [name for name, entry in bundle.card.runtimes.items() if entry.passed and RUNTIMES[name].auto]
    for name in sorted(names, key=lambda name: not RUNTIMES[name].exact):
        try:
            runner = bundle.open(name, network=network, threads=threads, batch=batch)
            outputs = runner(images)
        except (AblabError, RuntimeError, ValueError, OSError) as error:
            rows[name] = Row(runtime=name, ms=None, note=(str(error).strip().splitlines() or [""])[0])
            continue
        reference = reference or outputs
        coarse = RUNTIMES[name].arithmetic == "int8"
        off = compare(outputs, reference, max(bundle.card.preprocessing.image_size), RUNTIMES[name].exact, coarse)
        if off.within:
            opened[name] = runner
        else:
            note = f"differs here by {off.boxes:.3g} pixels and {off.scores:.3g} in score"
            rows[name] = Row(runtime=name, ms=None, note=note)
    return opened, rows


def _noise(batch: int, image_size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, *image_size, 3), dtype=np.uint8)


def _fastest(table: Sequence[Row]) -> str:
    timed = {row.runtime: row.ms for row in table if row.ms is not None and row.runtime in RUNTIMES}
    return min(timed, key=lambda name: timed[name], default="")


def _key(threads: int | None, batch: int) -> str:
    """What a measurement holds for: the machine, the packages, threads and batch."""
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    machine = [platform.node(), platform.machine(), torch.backends.cpu.get_cpu_capability()]
    return ", ".join([*machine, f"{threads or 'all'} threads", f"batch {batch}", *versions])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def _remembered(bundle: Bundle, key: str) -> tuple[Row, ...]:
    """An earlier table of this machine; nothing where there is none, or where it is not what `_remember` wrote."""
    try:
        data = read_json(bundle.folder / MEASURED)
        return parse(_Measured, {"table": data[key]}, MEASURED).table
    except (StoreError, ConfigError, KeyError, TypeError):
        return ()


def _remember(bundle: Bundle, key: str, table: Sequence[Row]) -> None:
    data: Mapping[str, object] = {}
    with suppress(StoreError):
        found = read_json(bundle.folder / MEASURED)
        data = found if isinstance(found, Mapping) else {}
    with suppress(StoreError):  # a bundle may stand where nothing can be written
        write_json(bundle.folder / MEASURED, {**data, key: [row.model_dump() for row in table]})
