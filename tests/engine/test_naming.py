import pytest
from torch import nn

from ablab.engine.naming import matching, names
from ablab.errors import ConfigError

NAMES = ["backbone.stage1.0.weight", "backbone.stage1.0.bias", "head.weight"]


def test_globs_reach_through_dots() -> None:
    assert matching("backbone.*", NAMES, "x") == NAMES[:2]
    assert matching("*.bias", NAMES, "x") == NAMES[1:2]
    assert matching("*", NAMES, "x") == NAMES


@pytest.mark.parametrize(
    ("glob", "near"),
    [("backbone.stge1.*", "backbone.stage1.*"), ("head.wieght", "head.weight"), ("Backbone.*", "backbone.*")],
)
def test_what_matches_nothing_is_an_error_with_the_nearest(glob: str, near: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.freeze: .* matches no parameter's name; did you mean") as error:
        matching(glob, NAMES, "train.freeze")
    assert f"did you mean '{near}'" in str(error.value)


def test_a_shared_parameter_has_all_its_names() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    found = names(model)
    assert list(found) == ["0.weight", "1.weight"]
    assert found["0.weight"] is found["1.weight"]
