"""How the verdicts are proven: items 1 to 8, each a simulation or a real A/A, with the limit of every cell.

    python benchmarks/aa.py [--only power,curse] [--studies 10000]

Writes one section an item to RESULTS.md. Exit code 1 where a cell is outside its limit that no document names.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from proof import coverage, curse, looks, margins, naive, null, pool
from proof.claim import Proof
from results import write

ITEMS: dict[str, tuple[Callable[[int], Proof], float]] = {  # and the share of --studies that one study of it allows
    "null": (null.run, 1),
    "coverage": (coverage.linear, 0.2),
    "scenes": (coverage.detections, 0.04),
    "equivalence": (margins.false_equivalent, 1),
    "power": (margins.power, 1),
    "looks": (looks.run, 1),
    "curse": (curse.run, 1),
    "naive": (naive.run, 4),
    "pool": (pool.run, 1),
}


def main() -> int:
    """Run the items, print each and write it to RESULTS.md; the worst comes out as the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=10_000, help="studies a cell, where one costs nothing")
    parser.add_argument("--only", default=",".join(ITEMS), help=f"some of {', '.join(ITEMS)}")
    args = parser.parse_args()
    unnamed = 0
    for number, name in enumerate(args.only.split(","), 1):
        item, share = ITEMS[name]
        started = time.perf_counter()
        proof = item(max(1, round(share * args.studies)))
        text = f"{proof.markdown()}\n\nTook {time.perf_counter() - started:.0f} s."
        print(f"## {number}. {proof.title}\n\n{text}\n", flush=True)
        write(f"Proof: {proof.title}", text)
        unnamed += sum(not cell.known for cell in proof.outside)
    return int(unnamed > 0)


if __name__ == "__main__":
    sys.exit(main())
