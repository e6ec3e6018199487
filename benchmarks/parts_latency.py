"""Own parts against the best public implementation: milliseconds of a forward pass on one input.

    OMP_NUM_THREADS=1 python benchmarks/parts_latency.py --shapes 1x64x80x80,8x128x40x40 --rounds 60

Part and counterpart run in one process and take turns, round after round, so that what else the machine does falls on
both alike; what is printed is the median. A copy of the counterpart takes turns with them: its ratio to the
counterpart, which would be 1 without noise, says how far a ratio can be believed. On a busy machine `--clock cpu`
counts the time that the process had a core, which with one thread is all that it waited for. The counterparts are in
`peers/parts.py`.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ablab import registry
from ablab.measure import latency
from ablab.measure.seeding import forked
from ablab.registry import Entry
from peers.parts import PEERS
from results import write

LIMIT = 1.2
SLOW = 0.1  # seconds of a pass: such parts get a tenth of the rounds
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WINDOW = {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": True}


def ours(entry: Entry, channels: int, fused: bool) -> nn.Module:
    """The part for so many channels, in evaluation mode."""
    site: dict[str, Any] = {"channels": channels, "in_channels": channels, "out_channels": channels, **WINDOW}
    part: Any = entry.build(**{name: site[fact] for name, fact in entry.host.items()}).eval()
    return part.fuse() if fused else part


def rows(shape: tuple[int, ...], rounds: int, clock: Callable[[], float]) -> list[str]:
    """One line of the table a part."""
    with forked("benchmark", "parts", *shape):
        x = torch.randn(shape)
    said = []
    for name, (peer, build) in PEERS.items():
        reference, fused = name.removesuffix(", fused"), name.endswith(", fused")
        with forked("benchmark", name):
            parts = {"ours": ours(registry.get(reference), shape[1], fused), "theirs": build(shape[1]).eval()}
        parts["again"] = copy.deepcopy(parts["theirs"])
        start = time.perf_counter()
        with torch.inference_mode():
            if len({tuple(part(x).shape) for part in parts.values()}) != 1:
                raise SystemExit(f"{name} and {peer} give other shapes on {shape}")
        slow = time.perf_counter() - start > SLOW * len(parts)
        timed = latency(parts, x, rounds=max(rounds // 10, 5) if slow else rounds, warmup=5 - 4 * slow, clock=clock)
        mine, theirs, again = (timed[each].median_ms for each in ("ours", "theirs", "again"))
        mark = "**" if mine > LIMIT * theirs else ""
        size, ratio = "x".join(map(str, shape)), f"{mark}{mine / theirs:.2f}{mark}"
        said.append(f"| {name} | {size} | {mine:.3f} | {theirs:.3f} | {ratio} | {again / theirs:.2f} | {peer} |")
        print(said[-1], flush=True)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="1x64x80x80,8x128x40x40", help="B x C x H x W, by commas")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shapes = [tuple(map(int, shape.split("x"))) for shape in args.shapes.split(",")]
    table = [line for shape in shapes for line in rows(shape, args.rounds, CLOCKS[args.clock])]
    above = sum("**" in line for line in table)
    write(
        "Parts: own against public, forward pass",
        f"""Medians of {args.rounds} interleaved rounds in one process (a tenth of it for passes of {SLOW} s and more),
{args.threads} thread(s), {args.clock} time, fp32, evaluation mode. {len(table) - above} of {len(table)} within {LIMIT}
times the public counterpart; a ratio above is bold. Noise is the ratio of the counterpart to its own copy, measured
alongside.

| part | input | ours, ms | public, ms | ratio | noise | public counterpart |
|---|---|---|---|---|---|---|
"""
        + "\n".join(table),
    )


main()
