"""What the reports say in words: a headline an arm, what is missing, and how it was decided."""

from __future__ import annotations

import math

from ablab.reports import numerals
from ablab.reports.view import Arm, View
from ablab.stats import MOST_SEEDS, Verdict

VERBS = {
    "helps": "helps",
    "hurts": "hurts",
    "equivalent": "is equivalent to the baseline",
    "undecided": "is undecided",
}


def overview(view: View) -> str:
    """The study in one sentence."""
    if not view.judged:
        return f"No verdicts yet. {progress(view)}"
    changes = [arm for arm in view.arms if arm.kind == "change"]
    counts = {word: sum(_decided(arm) == word for arm in changes) for word in VERBS}
    parts = [
        f"{count} {verb if count == 1 else plural}"
        for (word, verb), plural in zip(
            VERBS.items(), ("help", "hurt", "are equivalent to the baseline", "are undecided"), strict=True
        )
        if (count := counts[word])
    ]
    if len(changes) == 1:
        return f"The one change {numerals.listing([VERBS[w] for w in VERBS if counts[w]])}."
    return f"Of {len(changes)} changes, {numerals.listing(parts)}." if parts else progress(view)


def finding(view: View, arm: Arm) -> str:
    """What was found for an arm, to stand after its name: `helps: +0.031 AP, 95% simultaneous interval ...`."""
    verdict = arm.verdict
    if verdict is None:
        return "has no verdict yet."
    if verdict.n == 0:
        return f"{VERBS[verdict.verdict]}: no seed has a score for it and for the baseline."
    text = f"{VERBS[verdict.verdict]}: {numerals.signed(verdict.effect)} {view.metric}{_evidence(view, verdict)}"
    said = qualifiers(view, verdict)
    text += f" ({'; '.join(said)})" if said else ""
    need = needed(verdict)
    text += f". {need[0].upper()}{need[1:]}." if need else "."
    return text + (_alarm(arm, verdict) if arm.kind == "control" else "")


def _evidence(view: View, verdict: Verdict) -> str:
    level = f"{100 * (1 - view.alpha):g}%"
    if verdict.n < 2:
        return ", from one seed, which has no interval"
    text = (
        f", {level} simultaneous interval {numerals.interval(verdict.simultaneous)}, p {_equals(verdict.p_holm)} (Holm)"
    )
    if verdict.verdict == "equivalent":
        inside = f"{100 * (1 - 2 * view.alpha):g}% interval {numerals.interval(verdict.equivalence)}"
        text = f", {inside} inside ±{view.smallest_interesting:g}"
    return text


def _equals(p: float) -> str:
    text = numerals.p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _alarm(arm: Arm, verdict: Verdict) -> str:
    if arm.name != "a/a":
        return f" It is a control: {arm.because}."
    if verdict.verdict in ("helps", "hurts"):
        return " That is a false alarm: nothing was changed here, so read the other rows with care."
    return " Nothing was changed here, and nothing was found."


def qualifiers(view: View, verdict: Verdict) -> list[str]:
    """The verdict's qualifiers but those that the report says elsewhere: the control's kind and the study's label."""
    return [q for q in verdict.qualifiers if q != "control" and not (view.label and q.startswith(view.label))]


def needed(verdict: Verdict | None) -> str:
    """What would decide an undecided arm: `a fresh study would need 7 to 21 seeds`; empty where none is needed."""
    if verdict is None or verdict.fresh_seeds is None:
        return ""
    low, high = verdict.fresh_seeds
    if low >= MOST_SEEDS:
        return f"a fresh study would need {MOST_SEEDS} seeds or more"
    if high >= MOST_SEEDS:
        return f"a fresh study would need {low} seeds or more"
    return f"a fresh study would need {low} to {high} seeds" if low < high else f"a fresh study would need {low} seeds"


def progress(view: View) -> str:
    """How many runs are done, and what is still to come."""
    expected = len(view.expected())
    done = sum(len(set(arm.done()) & set(view.seeds)) for arm in view.arms)
    text = f"{done} of {expected} runs are done"
    troubled, waiting = len(view.troubled()), len(view.waiting())
    text += f", {troubled} failed or diverged" if troubled else ""
    text += f", {waiting} {'is' if waiting == 1 else 'are'} still to come" if waiting else ""
    return text + "."


def notes(view: View) -> list[str]:
    """What stands under a verdict table: what undecided arms need, the label, trouble, warnings."""
    said = [f"{arm.name} is undecided: {needed(arm.verdict)}" for arm in view.compared if needed(arm.verdict)]
    if view.label:
        said.append(screening(view))
    if view.judged and (view.troubled() or view.waiting()):
        said.append(progress(view))
    said += [f"{arm.name}, seed {seed}: {record.status}: {record.error}" for arm, seed, record in view.troubled()]
    return said + [f"warning: {warning}" for warning in view.warnings]


def screening(view: View) -> str:
    """Why a study carries its label."""
    return f"{view.label}: {_seeds(len(view.seeds))} can show large effects only; confirm with five fresh seeds or more"


def method(view: View) -> list[str]:
    """How it was decided, one paragraph each."""
    better = "higher" if view.direction == "max" else "lower"
    level, narrow = f"{100 * (1 - view.alpha):g}%", f"{100 * (1 - 2 * view.alpha):g}%"
    metric, smallest = view.metric, f"±{view.smallest_interesting:g}"
    return [
        f"Every arm was trained once under each of {_seeds(len(view.seeds))}. Under one seed all arms see the same "
        "order of images and the same augmentation, and the weights that a change does not touch start from the same "
        "values. An a/a control is the baseline again under streams of its own.",
        f"The effect is the mean over seeds of {metric}(arm) − {metric}(baseline) on the {view.split} split; {better} "
        "is better. It speaks of new trainings, judged on these same images. p comes from the two-sided paired t-test "
        f"over seeds, and Holm's correction over all comparisons decides at alpha = {view.alpha:g}. The interval is "
        f"Bonferroni's: all {level} intervals of this study hold together.",
        f"An arm helps or hurts where Holm's p is below {view.alpha:g}. It is equivalent where it does neither and its "
        f"{narrow} interval lies inside {smallest} {metric}, which was declared the smallest interesting effect before "
        "the first run. Otherwise it is undecided: the study was too small to tell, which is no proof of no effect.",
        "Adding seeds to a closed study voids alpha; the seeds that a fresh study would need are a range because the "
        "spread between seeds is itself estimated. Everything else in this report is descriptive.",
    ]


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _decided(arm: Arm) -> str:
    return arm.verdict.verdict if arm.verdict else ""


def spread(values: dict[int, float]) -> str:
    """Scores over seeds as `0.512 ± 0.004`, mean and standard deviation; one seed has no spread."""
    numbers = list(values.values())
    if not numbers:
        return numerals.NOTHING
    mean = math.fsum(numbers) / len(numbers)
    if len(numbers) == 1:
        return numerals.score(mean)
    sd = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    return f"{numerals.score(mean)} ± {sd:.3f}"


def environments(view: View) -> list[str]:
    """Every environment that runs were made in, once each: `torch 2.14.1, python 3.11.9`."""
    found = [run.record.environment for arm in view.arms for run in arm.runs.values() if run.record.environment]
    return list(dict.fromkeys(", ".join(f"{name} {value}" for name, value in sorted(e.items())) for e in found))
