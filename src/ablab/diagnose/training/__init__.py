"""What is wrong with a training, read from its curves, a range test, two short trials, and a study's scores.

curves.csv --course--> Course of the loss, of the metric --findings--> too short, overfitting, waiting, balance
RangeTest, Trial ------------------------------------------rate------> learning rate too high, too low
{arm: {seed: score}} --components--> spread of arms, seeds, rest ----> seeds over arms
"""

from ablab.diagnose.training.chapter import read_training
from ablab.diagnose.training.trial import Trial, try_tenth

__all__ = ["Trial", "read_training", "try_tenth"]
