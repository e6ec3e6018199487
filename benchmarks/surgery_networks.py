"""Surgery on networks that nobody here wrote: every activation by every other, every attention at every stage.

    python benchmarks/surgery_networks.py                       # all cases; a case takes about half a second
    python benchmarks/surgery_networks.py --sample 500 --seed 0

A case is one edit of one network. After it a count of kernels of its own (census.py) looks for activations of the
replaced kind that still run: each must stand in the report's `unreached`. Anything else is a silent miss.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from ablab import registry, surgery
from ablab.errors import UserError
from ablab.measure.forward import Example
from ablab.recipe import Edit
from ablab.records import EditReport
from census import activations, called, stages
from results import write
from zoo import ZOO, Network

ITSELF = "the forward of the network itself"


@dataclass(frozen=True)
class Case:
    """`of` is a kind of activation to replace; or `after`, a module to insert behind."""

    network: str
    part: str
    of: str = ""
    after: str = ""

    @property
    def edit(self) -> Edit:
        if self.of:
            return surgery.replace(of=f"activation/{self.of}", part=f"activation/{self.part}")
        args = {"like": "attention/se"} if self.part == "placebo" else {}
        return surgery.insert(after=_literally(self.after), part=f"attention/{self.part}", **args)


@dataclass(frozen=True)
class Outcome:
    """What surgery said (sites, unreached calls, or why it refused), and what it did not say (missed)."""

    case: Case
    sites: int = 0
    unreached: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    refused: str = ""


@dataclass
class Row:
    """A network's outcomes."""

    network: Network
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0


def kinds() -> dict[str, str]:
    """{kind: name of the part}: registered activations that are torch's own, as their kernels call them."""
    entries = (registry.get(name, "activation") for name in registry.names("activation"))
    return {
        entry.kind.__name__.lower(): entry.name
        for entry in entries
        if entry.kind and entry.kind.__module__.startswith("torch.") and entry.build is entry.kind
    }


def cases(network: Network, model: nn.Module, example: Example) -> list[Case]:
    """Every activation that runs in the network by every other one; every attention behind every stage."""
    found = {kind for kind, _ in activations(model, example)}
    here = [name for kind, name in kinds().items() if kind in found]
    swaps = [Case(network.name, part, of=of) for of in here for part in registry.names("activation") if part != of]
    spots = stages(model, example)
    return swaps + [Case(network.name, part, after=at) for part in registry.names("attention") for at in spots]


def attempt(model: nn.Module, example: Example, group: Sequence[Case]) -> list[Outcome]:
    """Do the edits of a group in one operation, or one by one where that is refused; look for what they left."""
    edits = [case.edit for case in group]
    try:
        edited, report = surgery.apply(model, edits, example)
    except UserError as error:
        if len(group) > 1:
            return [outcome for case in group for outcome in attempt(model, example, [case])]
        return [Outcome(group[0], refused=" ".join(str(error).split()))]
    new = [site.name for site in report.sites]
    if group[0].of:
        left = silent(edited, example, group[0].of, report)
        return [Outcome(group[0], len(new), report.unreached, left)]
    ran = {name.replace(".host", "") for name in called(edited, example)}  # later edits may stand around earlier ones
    placed = {case: [name for name in new if name.startswith(f"{case.after}.")] for case in group}
    return [
        Outcome(case, len(names), missed=tuple(sorted(set(names) - ran)) if names else (case.after,))
        for case, names in placed.items()
    ]


def silent(edited: nn.Module, example: Example, of: str, report: EditReport) -> tuple[str, ...]:
    """Where activations of the kind `of` still run outside of new parts, and the report does not name the place."""
    named = {call.rpartition(" in ")[2].replace(ITSELF, "") for call in report.unreached}
    ran = activations(edited, example, but=[site.name for site in report.sites])
    still = [where for kind, where in ran if kinds().get(kind) == of]
    return tuple(where or ITSELF for where in still if where not in named)


def grouped(chosen: Sequence[Case]) -> list[list[Case]]:
    """Cases that one operation can hold: those that insert the same part into the same network."""
    groups: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in chosen:
        groups[case.network, case.part, case.of].append(case)
    return list(groups.values())


def _literally(name: str) -> str:
    """A glob for that module, in case it has the name of a part."""
    return f"[{name[0]}]{name[1:]}"


def table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| network | pixels | activations: sites + unreached | swaps: done, refused | stages | inserts | missed |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        swaps = [outcome for outcome in row.outcomes if outcome.case.of]
        inserts = [outcome for outcome in row.outcomes if outcome.case.after]
        reach: dict[str, str] = {}
        for outcome in swaps:
            done = f"{outcome.case.of} {outcome.sites} + {len(outcome.unreached)}"
            if not outcome.refused:
                reach[outcome.case.of] = done
            else:
                reach.setdefault(outcome.case.of, f"{outcome.case.of}: none")
        places = len({outcome.case.after for outcome in inserts})
        missed = sum(bool(outcome.missed) for outcome in row.outcomes)
        yield (
            f"| {row.network.name} | {row.network.size} | {', '.join(reach.values())} | {_tally(swaps)} | {places} | "
            f"{_tally(inserts)} | {missed} |"
        )


def _tally(outcomes: Sequence[Outcome]) -> str:
    refused = sum(bool(outcome.refused) for outcome in outcomes)
    return f"{len(outcomes) - refused}, {refused}"


def reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Why edits were refused, most often first: the errors with names and numbers taken out, and one verbatim."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        for outcome in row.outcomes:
            if outcome.refused:
                found[_shape_of(outcome.refused, outcome.case)].append((row.network.name, outcome.refused))
    for each in sorted(found.values(), key=len, reverse=True):
        networks = {network for network, _ in each}
        name, text = min(each, key=lambda pair: len(pair[1]))
        yield f"- {len(each)} cases in {len(networks)} networks, such as {name}: `{text.replace('`', '')}`"


def _shape_of(error: str, case: Case) -> str:
    text = re.sub(rf"(?<![\w-])({re.escape(case.part)}|{re.escape(case.of or case.part)})(?![\w-])", "_", error)
    text = re.sub(r"'[^']*'|\([^()]*\)|\[[^\]]*\]|\S*[._\d]\S*", "_", text)
    return re.sub(r"\W+", " ", text.split(" is called as a function")[0])[:400]


def summary(rows: Sequence[Row], seconds: float) -> str:
    outcomes = [outcome for row in rows for outcome in row.outcomes]
    swaps = [outcome for outcome in outcomes if outcome.case.of]
    inserts = [outcome for outcome in outcomes if outcome.case.after]
    missed = [outcome for outcome in outcomes if outcome.missed]
    tasks = Counter(row.network.task for row in rows)
    unreached = {(outcome.case.network, call) for outcome in swaps for call in outcome.unreached}
    lines = [
        f"{len(outcomes):,} cases on {len(rows)} networks ({', '.join(f'{n} {task}' for task, n in tasks.items())}), "
        f"{seconds / 60:.0f} minutes on one thread.",
        f"**{len(missed)} silent misses.** Replace, done and refused: {_tally(swaps)}; insert: {_tally(inserts)}. "
        f"{len(unreached)} calls of functions stand in the reports as unreached.",
        "",
        *table(rows),
        "",
        "Refused, with the reason, before anything was changed:",
        "",
        *reasons(rows),
    ]
    lines += [f"- MISSED {outcome.case}: {', '.join(outcome.missed)}" for outcome in missed]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sample", type=int, help="so many cases, drawn; all where it is not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--networks", default="", help="only those whose name holds one of these, comma between")
    arguments = parser.parse_args()
    words = arguments.networks.split(",")
    chosen = [network for name, network in ZOO.items() if any(word in name for word in words)]
    rng = np.random.default_rng(arguments.seed)
    share = None
    if arguments.sample:
        share = rng.multinomial(arguments.sample, [1 / len(chosen)] * len(chosen))
    rows, start = [], time.perf_counter()
    for number, network in enumerate(chosen):
        row, began = Row(network), time.perf_counter()
        model, example = network.model(), network.example()
        todo = cases(network, model, example)
        if share is not None:
            todo = [todo[i] for i in sorted(rng.permutation(len(todo))[: share[number]])]
        for group in grouped(todo):
            row.outcomes += attempt(model, example, group)
        row.seconds = time.perf_counter() - began
        rows.append(row)
        missed = sum(bool(outcome.missed) for outcome in row.outcomes)
        print(
            f"{network.name}: {_tally(row.outcomes)}, missed {missed}, {row.seconds:.0f} s", file=sys.stderr, flush=True
        )
    text = summary(rows, time.perf_counter() - start)
    print(text)
    if not (arguments.sample or arguments.networks):
        write("Surgery on any network", text)


if __name__ == "__main__":
    main()
