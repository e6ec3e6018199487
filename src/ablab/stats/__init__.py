"""How sure: verdicts over paired seeds. numpy and scipy only; statistics, never training.

from ablab.stats import judge
judge({"baseline": {0: 0.50, 1: 0.52}, "frelu": {0: 0.53, 1: 0.54}}, "baseline", smallest_interesting=0.01)
"""

from ablab.stats.crossed import FEWEST_GROUPS, Population, image_weights, population
from ablab.stats.equivalence import equivalence_interval, equivalent
from ablab.stats.multiplicity import holm, simultaneous_interval
from ablab.stats.noise import NoiseFloor, noise_floor
from ablab.stats.paired import Comparison, compare, critical_t, interval, pairing, sign_flip
from ablab.stats.power import MOST_SEEDS, detection_power, fresh_seeds, seeds_needed, smallest_detectable
from ablab.stats.verdicts import Verdict, judge

__all__ = [
    "FEWEST_GROUPS",
    "MOST_SEEDS",
    "Comparison",
    "NoiseFloor",
    "Population",
    "Verdict",
    "compare",
    "critical_t",
    "detection_power",
    "equivalence_interval",
    "equivalent",
    "fresh_seeds",
    "holm",
    "image_weights",
    "interval",
    "judge",
    "noise_floor",
    "pairing",
    "population",
    "seeds_needed",
    "sign_flip",
    "simultaneous_interval",
    "smallest_detectable",
]
