"""Every figure of the page's tables, computed anew with scipy from the golden study's scores."""

import math
from html.parser import HTMLParser

import golden_study as given
import numpy as np
import pytest
from scipy import optimize, stats

ARMS = [name for name in given.SCORES if name != "baseline"]
K, ALPHA = len(ARMS), 0.05


class Tables(HTMLParser):
    """{section: its tables as lists of rows of text}; a cell's small print follows a bar."""

    def __init__(self, text):
        super().__init__()
        self.found, self._section, self._cell = {}, "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "section":
            self._section = dict(attrs)["id"]
            self.found[self._section] = []
        elif tag == "table":
            self.found[self._section].append([])
        elif tag == "tr":
            self.found[self._section][-1].append([])
        elif tag in ("td", "th"):
            self._cell = ""
        elif tag == "small" and self._cell is not None:
            self._cell += "|"

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.found[self._section][-1][-1].append(self._cell.strip())
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data


@pytest.fixture(scope="module")
def tables(page):
    return Tables(page).found


def scores(arm, metric="AP", finished=False):
    """{seed: score}; a diverged run has the declared 0, or is left out."""
    found = {}
    for seed, score in zip(given.SEEDS, given.SCORES[arm], strict=True):
        if isinstance(score, float):
            found[seed] = given._scores(arm, score, seed)[metric]
        elif score == "nan" and not finished:
            found[seed] = 0.0
    return found


def pairs(arm, metric="AP", finished=False):
    own, base = scores(arm, metric, finished), scores("baseline", metric, finished)
    seeds = sorted(set(own) & set(base))
    return np.array([own[seed] for seed in seeds]), np.array([base[seed] for seed in seeds])


def half(d, alpha):
    return stats.t.ppf(1 - alpha / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))


def plus(value, digits=3):
    return f"{value:+.{digits}f}".replace("-", "−")


def span(d, alpha):
    return f"[{plus(d.mean() - half(d, alpha))}, {plus(d.mean() + half(d, alpha))}]"


def rows(table):
    return {row[0].split("|")[0]: row[1:] for row in table[1:]}


def test_verdicts(tables):
    found = rows(tables["verdicts"][0])
    p = {arm: stats.ttest_rel(*pairs(arm)).pvalue for arm in ARMS}
    running = 0.0
    for rank, arm in enumerate(sorted(ARMS, key=p.get)):
        running = max(running, min(1.0, (K - rank) * p[arm]))  # Holm 1979
        own, base = pairs(arm)
        verdict, effect, printed_p, n, mean = found[arm]
        assert effect == f"{plus((own - base).mean())}|{span(own - base, ALPHA / K)}"
        assert printed_p == ("< 0.001" if running < 0.001 else f"{running:.3f}")
        assert n == str(len(own))
        assert mean == f"{np.mean(list(scores(arm).values())):.3f}"
        inside = abs((own - base).mean()) + half(own - base, 2 * ALPHA) < 0.01
        word = "equivalent" if inside else "undecided"
        if running < ALPHA:
            word = "helps" if own.mean() > base.mean() else "hurts"
        assert verdict.split("|")[0].split()[1] == word


def test_probability_of_improvement(tables):
    found = rows(tables["effects"][1])
    for arm in ARMS:
        own, base = pairs(arm)
        wins = int((own > base + 1e-12).sum())
        exact = stats.binomtest(wins, len(own)).proportion_ci(1 - ALPHA, method="exact")
        interval = f"[{exact.low:.2f}, {exact.high:.2f}]"
        assert found[arm][:3] == [f"{wins} of {len(own)}", f"{wins / len(own):.2f}", interval]


def test_scores_of_every_seed(tables):
    found = rows(tables["effects"][0])
    for arm in given.SCORES:
        own = scores(arm)
        values = np.array(list(own.values()))
        assert found[arm][-1] == f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
        printed = [cell.rstrip("†") for cell in found[arm][:-1]]
        assert printed == [f"{own[seed]:.3f}" if seed in own else "–" for seed in given.SEEDS]


def test_the_noise_floor(page):
    base = np.array(list(scores("baseline").values()))
    n, sd = len(base), base.std(ddof=1)
    low, high = (sd * math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (0.975, 0.025))
    typical, large = (math.sqrt(2) * sd * stats.t.ppf(q, n - 1) for q in (0.75, 0.975))
    assert f"standard deviation of {sd:.4f} (with so few runs itself known only to {low:.4f} to {high:.4f}" in page
    assert f"differ by more than {typical:.4f} every second time and by more than {large:.4f} with" in page


def detectable(n, alpha):
    """The noncentral t's effect in sd(d) at 80% power; the other tail is nothing there."""
    critical = stats.t.ppf(1 - alpha / 2, n - 1)
    return optimize.brentq(lambda x: stats.nct.sf(critical, n - 1, x * math.sqrt(n)) - 0.8, 0.5, 12)


def test_what_the_study_could_see(tables):
    found = rows(tables["noise"][0])
    for arm in ARMS:
        own, base = pairs(arm, finished=True)
        sd, n = (own - base).std(ddof=1), len(own)
        correlation = np.corrcoef(own, base)[0, 1]
        threshold = 1 - (stats.t.ppf(0.975, 2 * n - 2) / stats.t.ppf(0.975, n - 1)) ** 2
        pays = "pays" if correlation > threshold else "does not pay"
        assert found[arm] == [
            str(n),
            *(f"{side:.4f}" for side in (own.std(ddof=1), base.std(ddof=1), sd)),
            f"{correlation:.2f} ({pays})".replace("-", "−"),
            *(f"{sd * detectable(n, alpha):.4f}" for alpha in (ALPHA, ALPHA / K)),
        ]


@pytest.mark.parametrize(
    ("section", "metrics"),
    [
        (
            "parts",
            {"small": "APs", "medium": "APm", "large": "APl", "RBC": "AP/RBC", "WBC": "AP/WBC"}
            | {"Platelets": "AP/Platelets"},
        ),
        ("metrics", {name: name for name in ("AP50", "AP75", "AR100", "precision", "recall", "F1")}),
    ],
)
def test_descriptive_effects(tables, page, section, metrics):
    head, found = tables[section][0][0], rows(tables[section][0])
    assert list(found) == list(metrics)
    assert head[1:] == ARMS
    for label, metric in metrics.items():
        for arm, cell in zip(ARMS, found[label], strict=True):
            own, base = pairs(arm, metric, finished=True)
            assert cell == f"{plus((own - base).mean())} {span(own - base, ALPHA)}", (label, arm)
    count = K * len(metrics)
    assert f"Of {count} such intervals about {count * ALPHA:.3f}".rstrip("0").rstrip(".") in page


def test_cost(tables):
    found, base = rows(tables["cost"][0]), given.COST["baseline"]
    for arm, (parameters, flops, latency, _, seconds) in given.COST.items():
        change = f" ({100 * (latency / base[2] - 1):+.{0 if abs(latency / base[2] - 1) >= 0.095 else 1}f}%)"
        assert found[arm][0].startswith(f"{parameters / 1e6:.2f} M")
        assert found[arm][1].startswith(f"{flops / 1e9:.2f} G")
        assert found[arm][2] == f"{latency:.1f}" + (change if latency != base[2] else "").replace("-", "−")
        done = sum(isinstance(score, float) for score in given.SCORES[arm])
        mean = seconds + 0.5 * np.mean([s for s in given.SEEDS if isinstance(given.SCORES[arm][s], float)])
        assert done
        assert found[arm][3].startswith(f"{round(mean) // 60} min" if mean >= 59.5 else f"{round(mean)} s")


def test_the_front_is_bounded_by_the_paired_tests(tables):
    """In the draws an arm beats another as often as their one-sided paired t says; Bonferroni bounds the rest."""
    found = rows(tables["cost"][1])
    assert "a/a" not in found
    assert found["no-mosaic"][2] == "> 99%"  # of the latencies its is the smallest
    common = [0, 1, 2, 4]  # under seed 3 cbam failed
    parameters = {arm: cost[0] for arm, cost in given.COST.items() if arm != "a/a"}
    values = {arm: np.array([scores(arm)[seed] for seed in common]) for arm in parameters}
    for arm in ("baseline", "frelu", "cbam", "eca"):
        rivals = [other for other, cost in parameters.items() if other != arm and cost <= parameters[arm]]
        beaten = [
            stats.ttest_rel(values[arm], values[other], alternative="greater").pvalue for other in rivals
        ]  # the share of draws in which the rival scores more
        printed = float(found[arm][0].strip("<> %")) / 100
        assert 1 - sum(beaten) - 0.015 < printed < 1 - max(beaten) + 0.015, arm
