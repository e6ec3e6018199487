"""How sure: verdicts over paired seeds. numpy and scipy only; statistics, never training.

from ablab.stats import judge
judge({"baseline": {0: 0.50, 1: 0.52}, "frelu": {0: 0.53, 1: 0.54}}, "baseline", smallest_interesting=0.01)
"""

from ablab.stats.components import Components, components
from ablab.stats.crossed import FEWEST_GROUPS, Population, image_weights, population
from ablab.stats.dunnett import blocked, critical_dunnett, dunnett_interval, dunnett_p
from ablab.stats.equivalence import equivalence_interval, equivalent
from ablab.stats.front import front_probability, on_front
from ablab.stats.improvement import Improvement, improvement, unpaired_improvement
from ablab.stats.judging import judge
from ablab.stats.multiplicity import holm, simultaneous_interval
from ablab.stats.noise import NoiseFloor, noise_floor
from ablab.stats.paired import Comparison, compare, critical_t, interval, pairing, pairing_threshold, sign_flip
from ablab.stats.power import MOST_SEEDS, detection_power, fresh_seeds, seeds_needed, smallest_detectable
from ablab.stats.sequential import Look, Rules, boundaries, spent
from ablab.stats.unpaired import welch
from ablab.stats.verdicts import Verdict
from ablab.stats.winner import Confirmation, expected_bias

__all__ = [
    "FEWEST_GROUPS",
    "MOST_SEEDS",
    "Comparison",
    "Components",
    "Confirmation",
    "Improvement",
    "Look",
    "NoiseFloor",
    "Population",
    "Rules",
    "Verdict",
    "blocked",
    "boundaries",
    "compare",
    "components",
    "critical_dunnett",
    "critical_t",
    "detection_power",
    "dunnett_interval",
    "dunnett_p",
    "equivalence_interval",
    "equivalent",
    "expected_bias",
    "fresh_seeds",
    "front_probability",
    "holm",
    "image_weights",
    "improvement",
    "interval",
    "judge",
    "noise_floor",
    "on_front",
    "pairing",
    "pairing_threshold",
    "population",
    "seeds_needed",
    "sign_flip",
    "simultaneous_interval",
    "smallest_detectable",
    "spent",
    "unpaired_improvement",
    "welch",
]
