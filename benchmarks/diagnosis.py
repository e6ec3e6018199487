"""Faults planted on purpose: are they found, and ranked first? `python benchmarks/diagnosis.py`

Eight faults and none at all, ten seeds each: ninety small trainings (`planted/`), each diagnosed as `ablab diagnose`
does but for prices. Writes the table into RESULTS.md and docs/diagnosis.md. What is finished under --root is not done
again; --again diagnoses the same trainings anew.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import results
from planted.trainings import FAULTS, trained

NAMES = {  # what is planted -> what the finding is called
    "shifted": "labels misplaced",
    "misnamed": "labels misnamed",
    "without class": "class without examples",
    "leaked": "test images in train",
    "too small": "objects too small",
    "dead": "dead layer",
    "too fast": "learning rate too high",
    "too large": "anchors misfit",
}
DOCS = Path(__file__).resolve().parents[1] / "docs" / "diagnosis.md"
WANTED = 9  # of ten seeds


def main() -> None:
    """Train and diagnose what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/planted"), help="where trainings are kept")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, a core each")
    parser.add_argument("--again", action="store_true", help="diagnose anew what was diagnosed before")
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    asked = parser.parse_args()
    wanted = [(fault, seed) for seed in range(asked.seeds) for fault in FAULTS]
    with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as pool:
        jobs = [pool.submit(found, fault, seed, asked.root, asked.again) for fault, seed in wanted]
        rows = []
        for (fault, seed), job in zip(wanted, jobs, strict=True):
            rows.append((fault, seed, job.result()))
            print(f"{fault} {seed}: {said(rows[-1][2])}", flush=True)
    text = table(rows, asked.seeds)
    print(text)
    if not asked.dry:
        results.write("Planted faults", text)
        DOCS.write_text(re.sub(r"(?s)(?<=<!-- planted -->\n).*?(?=<!-- end -->)", text + "\n", DOCS.read_text()))


def found(fault: str, seed: int, root: Path, again: bool = False) -> list[dict[str, Any]]:
    """The findings of a training with that fault, the worst first."""
    from ablab.diagnose.examine import Asked, examine
    from ablab.engine.events import Silent

    folder = root / "diagnosed" / f"{fault.replace(' ', '-')}-{seed}"
    file = folder / "diagnosis.json"  # written last
    if again or not file.is_file():
        examine(trained(fault, seed, root), Asked(prices=False, folder=folder), Silent())
    return json.loads(file.read_text())["findings"]


def said(findings: Sequence[dict[str, Any]]) -> str:
    """The first three, in a line."""
    return ", ".join(f"{each['fault']} {each['severity']:.2f}" for each in findings[:3]) or "nothing"


def table(rows: Sequence[tuple[str, int, list[dict[str, Any]]]], seeds: int) -> str:
    """Found, ranked first, and what stood first instead; then the alarms on clean data."""
    lines = [
        "| planted | finding | found | ranked first | first instead |",
        "|---|---|---|---|---|",
    ]
    passed = True
    for fault, name in NAMES.items():
        runs = [findings for planted, _, findings in rows if planted == fault]
        firsts = [findings[0]["fault"] if findings else "nothing" for findings in runs]
        hit = sum(name in [each["fault"] for each in findings] for findings in runs)
        first = sum(each == name for each in firsts)
        others = ", ".join(sorted({each for each in firsts if each != name})) or "-"
        lines.append(f"| {fault} | {name} | {hit} of {seeds} | {first} of {seeds} | {others} |")
        passed &= first >= WANTED * seeds / 10
    clean = [findings for planted, _, findings in rows if planted == "clean"]
    alarms = [[each["fault"] for each in findings if each["fault"] in NAMES.values()] for findings in clean]
    quiet = sum(not each for each in alarms)
    which = ", ".join(sorted({fault for each in alarms for fault in each})) or "-"
    lines.append(f"| nothing | no such alarm | {quiet} of {seeds} | | {which} |")
    passed &= quiet >= WANTED * seeds / 10
    lines += ["", f"Wanted: {WANTED} of 10 in the column 'ranked first', and no alarm in {WANTED} of 10 clean sets: "
              f"{'met' if passed else 'NOT met'}."]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
