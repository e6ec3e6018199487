"""What to try next, of what any task knows: the learning rate, the length, the decay, the loader, the width.

finding --> a change of the recipe, where a field of it can answer the finding; else what a person has to do

No gain is promised: nothing here bounds what a rate or a length would bring, as an oracle does for an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablab.config import override
from ablab.errors import ConfigError
from ablab.findings import Chapter, Finding, Proposal
from ablab.recipe import Recipe

LOWER = 10.0  # times: a tenth of the largest usable rate is the usual first choice, as in fastai's "minimum"
LONGER = 2  # times the epochs
DECAY = 10.0  # times the weight decay; of none, LEAST_DECAY
LEAST_DECAY = 5e-4
WORKERS = 2

Numbers = Mapping[str, Any]  # the chapter's
Answer = Callable[[Finding, Numbers, Recipe], list[Proposal]]


def advise(chapters: Sequence[Chapter], recipe: Recipe) -> tuple[Proposal, ...]:
    """Proposals for the findings of a diagnosis, the worst finding's first; every `set` is one that `recipe` takes."""
    found = [(finding, chapter) for chapter in chapters for finding in chapter.findings if finding.fault in ANSWERS]
    found.sort(key=lambda pair: -pair[0].severity)
    made: dict[str, Proposal] = {}
    for finding, chapter in found:
        for each in ANSWERS[finding.fault](finding, chapter.numbers, recipe):
            if _applies(recipe, each):
                made.setdefault(each.name, each)
    return tuple(made.values())


def _applies(recipe: Recipe, proposal: Proposal) -> bool:
    """Whether the recipe takes the change and is another one then; a todo always applies."""
    if not proposal.set:
        return True
    try:
        return override(recipe, proposal.set) != recipe
    except ConfigError:
        return False


def _lower_rate(finding: Finding, numbers: Numbers, recipe: Recipe) -> list[Proposal]:
    """The tenth that a trial measured; else a tenth of the largest usable rate, if that is lower; else a tenth."""
    rate, usual = recipe.optimizer.lr, _usual(numbers)
    tenth = (numbers.get("trial") or {}).get("lower")
    lower = tenth or (usual if usual is not None and usual < rate else rate / LOWER)
    return [_rate("lower-rate", lower, finding)]


def _higher_rate(finding: Finding, numbers: Numbers, recipe: Recipe) -> list[Proposal]:
    """A tenth of the largest usable rate where a range test knows it, and it is higher; else three times the rate."""
    usual, rate = _usual(numbers), recipe.optimizer.lr
    return [_rate("higher-rate", usual if usual is not None and usual > rate else 3 * rate, finding)]


def _usual(numbers: Numbers) -> float | None:
    largest = (numbers.get("range") or {}).get("largest")
    return None if largest is None else largest / LOWER


def _rate(name: str, rate: float, finding: Finding) -> Proposal:
    return Proposal(name, finding.sentence, (finding.fault,), {"optimizer.lr": float(f"{rate:.2g}")})


def _longer(finding: Finding, numbers: Numbers, recipe: Recipe) -> list[Proposal]:
    return [Proposal("longer", finding.sentence, (finding.fault,), {"train.epochs": LONGER * recipe.train.epochs})]


def _less_fit(finding: Finding, numbers: Numbers, recipe: Recipe) -> list[Proposal]:
    """More weight decay, and an end where the metric was best."""
    decay = max(LEAST_DECAY, DECAY * recipe.optimizer.weight_decay)
    best = int(dict(finding.evidence)["best epoch"])
    return [
        Proposal("more-decay", finding.sentence, (finding.fault,), {"optimizer.weight_decay": decay}),
        Proposal("shorter", finding.sentence, (finding.fault,), {"train.epochs": best}),
    ]


def _loader(finding: Finding, numbers: Numbers, recipe: Recipe) -> list[Proposal]:
    """Speed, not scores: no arm of a study could show it."""
    workers = max(WORKERS, 2 * recipe.train.workers)
    todo = (
        f"train with --set train.workers={workers}, or with train.cache=memory and a train.cache_gb that holds the "
        "decoded images: the same scores in less time, so it needs no study"
    )
    return [Proposal("faster-loader", finding.sentence, (finding.fault,), todo=todo)]


def _todo(name: str, todo: str) -> Answer:
    return lambda finding, numbers, recipe: [Proposal(name, finding.sentence, (finding.fault,), todo=todo)]


_NARROWER = "try a smaller or narrower network (model.size): what is never used costs time and brings no score"

ANSWERS: Mapping[str, Answer] = {
    "learning rate too high": _lower_rate,
    "learning rate too low": _higher_rate,
    "too short": _longer,
    "overfitting": _less_fit,
    "loader-bound": _loader,
    "underfitting": _todo(
        "see-more", "give the network more to go by: a larger input (train.image_size), or a larger size (model.size)"
    ),
    "unbalanced losses": _todo(
        "balance-losses", "set the gains of the loss terms in the recipe's section loss so that each of them counts"
    ),
    "seeds over arms": _todo(
        "more-seeds",
        "raise `seeds` in the study's file and run it again: finished runs are kept, and new ones are added",
    ),
    "unused channels": _todo("narrower", _NARROWER),
    "dead units": _todo("narrower", _NARROWER),
}
