"""How long planning takes: 20 arms of YOLOv5s at 320 pixels, built, operated on, checked, weighed and timed.

The limit is 60 s of two cores. What the steps take comes from a second, profiled run where `--profile` is given.

    python benchmarks/planning.py [--size s] [--threads 2] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from pathlib import Path
from typing import Any

from ablab.engine.events import Silent
from ablab.study import plan, spec
from results import write

LIMIT = 60.0  # seconds, on two cores

ACTIVATIONS = ("relu", "hardswish", "mish", "gelu", "frelu", "sigmoid")
ATTENTION = ("se", "cbam", "eca", "ca")
FIELDS: dict[str, dict[str, Any]] = {
    "focus": {"model.stem": "focus"},
    "aspp": {"model.pool": "aspp"},
    "bifpn": {"model.neck": "bifpn"},
    "focal": {"loss.classification": "focal"},
    "erase": {"augment.erase": 0.5},
}


def changes() -> list[dict[str, Any]]:
    """19 of them: every kind of edit that the first study had, and fields of the recipe."""
    activation = {part: {"op": "replace", "of": "silu", "part": part} for part in ACTIVATIONS}
    attention = {part: {"op": "insert", "after": "backbone.out", "part": part, "expect": 3} for part in ATTENTION}
    single = [{"name": part, "edits": [edit]} for part, edit in (activation | attention).items()]
    both = [{"name": f"frelu-{part}", "edits": [activation["frelu"], attention[part]]} for part in ATTENTION]
    return single + both + [{"name": name, "set": fields} for name, fields in FIELDS.items()]


def study(size: str, threads: int) -> spec.Study:
    """The study that is planned, on the embedded data set."""
    baseline = {
        "task": "detection",
        "model": {"name": "yolov5", "size": size},
        "data": {"path": "photo-digits", "size": 320, "scenes": [64, 32, 32]},
        "train": {"image_size": 320, "batch": 16, "threads": threads, "device": "cpu"},
    }
    return spec.build({"name": "planning", "baseline": baseline, "changes": changes()}, "planning", Path.cwd())


def main() -> None:
    """Plan, print the seconds, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    asked = study(options.size, options.threads)
    profile = cProfile.Profile(builtins=False)
    wall, cores = time.perf_counter(), time.process_time()
    if options.profile:
        profile.enable()
    document = plan.plan(asked, (), Silent(), jobs=1)
    profile.disable()
    wall, cores = time.perf_counter() - wall, time.process_time() - cores
    if options.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats("ablab", 40)
    text = (
        f"Planning {len(document['arms'])} arms of YOLOv5{options.size} at 320 px with {options.threads} threads took "
        f"{wall:.1f} s, {cores:.1f} s of processor time; the limit is {LIMIT:.0f} s on two cores."
    )
    print(text)
    if not options.profile:
        write("Planning", text)


if __name__ == "__main__":
    main()
