"""Own parts against the best public implementation: milliseconds of a forward pass on one input.

    OMP_NUM_THREADS=1 python benchmarks/parts_latency.py --shapes 1x64x80x80,8x128x40x40 --rounds 60

Part and counterpart run in one process and take turns, round after round, so that what else the machine does falls on
both alike; what is printed is the median. The counterparts are in `peers/parts.py`.
"""

from __future__ import annotations

import argparse
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
WINDOW = {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": True}


def ours(entry: Entry, channels: int, fused: bool) -> nn.Module:
    """The part for so many channels, in evaluation mode."""
    site: dict[str, Any] = {"channels": channels, "in_channels": channels, "out_channels": channels, **WINDOW}
    part: Any = entry.build(**{name: site[fact] for name, fact in entry.host.items()}).eval()
    return part.fuse() if fused else part


def rows(shape: tuple[int, ...], rounds: int) -> list[str]:
    """One line of the table a part."""
    with forked("benchmark", "parts", *shape):
        x = torch.randn(shape)
    said = []
    for name, (peer, build) in PEERS.items():
        reference, fused = name.removesuffix(", fused"), name.endswith(", fused")
        with forked("benchmark", name):
            pair = {"ours": ours(registry.get(reference), shape[1], fused), "theirs": build(shape[1]).eval()}
        if len({tuple(part(x).shape) for part in pair.values()}) != 1:
            raise SystemExit(f"{name} and {peer} give other shapes on {shape}")
        timed = latency(pair, x, rounds=rounds, warmup=5)
        mine, theirs = timed["ours"].median_ms, timed["theirs"].median_ms
        mark = "**" if mine > LIMIT * theirs else ""
        size = "x".join(map(str, shape))
        said.append(f"| {name} | {size} | {mine:.3f} | {theirs:.3f} | {mark}{mine / theirs:.2f}{mark} | {peer} |")
        print(said[-1], flush=True)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="1x64x80x80,8x128x40x40", help="B x C x H x W, by commas")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shapes = [tuple(map(int, shape.split("x"))) for shape in args.shapes.split(",")]
    table = [line for shape in shapes for line in rows(shape, args.rounds)]
    above = sum("**" in line for line in table)
    write(
        "Parts: own against public, forward pass",
        f"""Medians of {args.rounds} interleaved rounds in one process, {args.threads} thread(s), fp32, evaluation mode.
{len(table) - above} of {len(table)} within {LIMIT} times the public counterpart; a ratio above is bold.

| part | input | ours, ms | public, ms | ratio | public counterpart |
|---|---|---|---|---|---|
"""
        + "\n".join(table),
    )


main()
