import math

import pytest

from ablab.engine.best import quality
from ablab.engine.stopping import Stopping
from ablab.errors import UnknownName
from ablab.recipe import EarlyStoppingRecipe


def stops_after(values: list[float], patience: int, least: float = 0.0, direction: str = "max") -> int:
    stopping = Stopping(EarlyStoppingRecipe(patience=patience, least=least), "AP", direction)
    for epoch, value in enumerate(values, start=1):
        if stopping.watch(epoch, quality({"AP": value}, "AP", direction, "x")):
            return epoch
    return 0


@pytest.mark.parametrize(
    ("values", "patience", "least", "direction", "epoch"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, 0.0, "max", 0),
        ([0.1, 0.2, 0.2, 0.4], 1, 0.0, "max", 3),  # equal is not better
        ([0.3, 0.2, 0.1, 0.4], 2, 0.0, "max", 3),
        ([0.3, 0.2, 0.4, 0.2, 0.1, 0.1], 3, 0.0, "max", 6),  # counted in a row
        ([0.3, 0.2, 0.1], 2, 0.0, "min", 0),
        ([0.1, 0.2, 0.3], 2, 0.0, "min", 3),
        ([0.50, 0.54, 0.58, 0.62], 3, 0.1, "max", 0),  # small steps add up: the fourth beats the first by 0.12
        ([0.50, 0.51, 0.52, 0.53], 3, 0.1, "max", 4),
        ([math.nan, math.nan, 0.1], 2, 0.0, "max", 0),
        ([math.nan, math.nan, math.nan], 2, 0.0, "max", 3),
    ],
)
def test_stops_when_patience_is_over(
    values: list[float], patience: int, least: float, direction: str, epoch: int
) -> None:
    assert stops_after(values, patience, least, direction) == epoch


def test_it_says_when_and_why() -> None:
    stopping = Stopping(EarlyStoppingRecipe(patience=2, least=0.01), "loss", "min")
    for epoch, value in ((2, -0.5), (4, -0.505), (6, -0.7)):
        stopping.watch(epoch, value)
    assert stopping.reason == (
        "stopped after epoch 6: loss was not better by more than 0.01 than the 0.5 of epoch 2 in 2 validations"
    )


def test_a_metric_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownName, match=r"train\.early_stopping; did you mean 'AP50'"):
        quality({"AP50": 1.0}, "AP5", "max", "train.early_stopping")
