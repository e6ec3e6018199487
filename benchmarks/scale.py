"""What a study of many runs costs its driver: records written, read and judged, and the report, with made-up scores.

Nothing is trained, and evidence and weights are left out: only what grows with the number of runs is timed.

    python benchmarks/scale.py [--arms 20] [--seeds 500] [--folder FOLDER] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ablab import reports
from ablab.records import RunRecord, read_records, write_json
from ablab.study import spec, store
from ablab.study.design import arms
from ablab.study.judge import judge
from results import write

EPOCHS = 20


def study(changes: int, seeds: int) -> spec.Study:
    """Changes of one number each."""
    rows = [{"name": f"rate-{i}", "set": {"optimizer.lr": 0.001 + i * 1e-6}} for i in range(changes)]
    baseline: dict[str, Any] = {"task": "detection", "data": {"path": "photo-digits"}}
    asked = {"name": "scale", "baseline": baseline, "changes": rows, "seeds": list(range(seeds))}
    return spec.build(asked, "scale", Path.cwd())


def fill(folder: Path, asked: spec.Study) -> int:
    """Write the records and curves of every run, unflushed; returns the bytes of one run."""
    rng, made = np.random.default_rng(0), arms(asked)
    places = []
    for _, key in store.keys(asked, made, {arm.name: "-" for arm in made}, ""):
        score = 0.4 + 0.01 * rng.standard_normal()
        scores = {"validation": dict.fromkeys(("AP", "AP50", "AP75", "F1"), score)}
        cost = {"parameters": 1.8e6, "flops": 4e9, "train_seconds": 60.0, "peak_memory_mb": 900.0}
        place = folder / key.folder
        write_json(place / "record.json", RunRecord(key, "done", scores, {"threshold": 0.3}, cost), durable=False)
        rows = [f"{epoch},{2 / epoch:.6g},{score * epoch / EPOCHS:.6g}" for epoch in range(1, EPOCHS + 1)]
        (place / "curves.csv").write_text("\n".join(["epoch,loss,validation/AP", *rows]) + "\n")
        places.append(place)
    return sum(path.stat().st_size for path in places[0].iterdir())


@contextmanager
def timed(name: str, found: dict[str, float]) -> Iterator[None]:
    """Wall time of the body, s."""
    start = time.perf_counter()
    yield
    found[name] = time.perf_counter() - start
    print(f"{name}: {found[name]:.1f} s", flush=True)


def main() -> None:
    """Time each stage, print, and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="ablab-scale-"))
    asked, found, profile = study(options.arms - 1, options.seeds), dict[str, float](), cProfile.Profile()
    with timed("write", found):
        size = fill(folder, asked)
        write_json(folder / "study.json", store.describe(asked))
    if options.profile:
        profile.enable()
    with timed("read", found):
        records = read_records(folder)
    with timed("judge", found):
        write_json(folder / "verdicts.json", judge(asked, arms(asked), records))
    with timed("report", found):
        page = reports.write(folder)["html"]
    profile.disable()
    if options.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats("ablab", 40)
        return
    text = (
        f"{len(records)} runs ({options.arms} arms, {options.seeds} seeds), {size} bytes of record and curves each: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.items())
        + f"; the page has {page.stat().st_size / 2**20:.1f} MB."
    )
    print(text)
    write(f"Scale: {options.arms} arms, {options.seeds} seeds", text)


if __name__ == "__main__":
    main()
