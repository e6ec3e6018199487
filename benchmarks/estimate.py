"""How far `ablab plan` was from the truth: a finished study's planned seconds against those that its runs took.

ablab demo && python benchmarks/estimate.py runs/demo
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from ablab.records import read_json, read_records
from results import write


def main() -> None:
    """Compare, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a finished study's folder, run on this machine alone")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    asked = parser.parse_args()
    text = section(asked.study)
    print(text)
    if not asked.dry:
        write("Plan: seconds of a run, planned and taken", text)


def section(study: Path) -> str:
    """A row an arm, and the whole."""
    planned = read_json(study / "plan.json")
    taken: dict[str, list[float]] = {}
    for record in read_records(study):
        taken.setdefault(record.key.arm, []).append(record.cost["run_seconds"])
    lines = [
        f"`{planned['name']}`: {sum(map(len, taken.values()))} runs, {planned['jobs']} at a time.",
        "",
        "| arm | planned, s | taken, s (mean) | planned / taken |",
        "|---|---|---|---|",
    ]
    total = 0.0
    for row in planned["arms"]:
        seconds = taken[row["arm"]]
        total += row["run_seconds"] * len(seconds)
        mean = statistics.mean(seconds)
        lines.append(f"| {row['arm']} | {row['run_seconds']:.1f} | {mean:.1f} | {row['run_seconds'] / mean:.2f} |")
    whole = sum(map(sum, taken.values()))
    lines += ["", f"All runs: {total:.0f} s planned, {whole:.0f} s taken: {total / whole:.2f} of the truth."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
