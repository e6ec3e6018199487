"""A broken part is found before it goes in: the error names the site, both shapes and what to do."""

import pytest
import torch
from broken_parts import BatchBound, Detached, Scale
from networks import Plain, drawn
from torch import nn

from ablab import surgery
from ablab.errors import ConfigError, SurgeryError

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def replace(part, **args):
    model = drawn(Plain)
    return surgery.apply(model, [surgery.replace(of="silu", part=f"broken_parts:{part}", **args)], X)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            "Shrink",
            r"act: broken_parts:Shrink turns \[\(2, 8, 8, 8\).*\] into \(2, 8, 7, 8\).*, expected \(2, 8, 8, 8\)",
        ),
        ("Overflow", "act: broken_parts:Overflow gives NaN or inf"),
        ("Crash", r"act: broken_parts:Crash fails on its input \[\(2, 8, 8, 8\).*RuntimeError.*choose a part"),
        ("Idle", "act: broken_parts:Idle: no gradient reaches unused"),
        (
            "Detached",
            r"act: broken_parts:Detached passes no gradient on to its input \[\(2, 8, 8, 8\).*drop the detach",
        ),
        (
            "BatchBound",
            r"act: broken_parts:BatchBound: in evaluation mode a sample changes by .* with the samples beside it on "
            r"\[\(2, 8, 8, 8\) float32\]; use running statistics",
        ),
        ("not_a_module", "act: broken_parts:not_a_module makes a builtin_function_or_method, not a torch.nn.Module"),
    ],
)
def test_what_is_wrong_with_a_part(part, words):
    with pytest.raises(SurgeryError, match=words):
        replace(part)


def test_a_part_that_cannot_be_built_says_with_what():
    with pytest.raises(SurgeryError, match=r"act: broken_parts:Scale\(spread='wide', channels=8\) cannot be built"):
        replace("Scale", spread="wide")


def test_a_foreign_class_goes_in_by_its_import_string():
    edited, report = replace("Scale")
    assert isinstance(edited.act, Scale)
    assert report.parameters == 8
    assert report.sites[0].new == "broken_parts:Scale"


def test_an_argument_reaches_the_part_and_channels_can_be_said():
    narrow, wide = replace("Scale", spread=1.0)[0], replace("Scale", spread=2.0, channels=8)[0]
    assert torch.equal(2 * narrow.act.factor, wide.act.factor)


def test_a_typo_is_not_swallowed():
    with pytest.raises(ConfigError, match=r"takes no 'spred'; did you mean 'spread'"):
        replace("Scale", spred=1.0)


def test_a_foreign_factory_with_kwargs_cannot_swallow_one_either():
    with pytest.raises(ConfigError, match="takes no 'slop'"):
        replace("swallow", slop=0.1)


def test_a_host_with_nan_is_not_the_parts_fault():
    model = drawn(Plain)
    torch.nn.init.constant_(model.conv.bias, torch.nan)
    edited, _ = surgery.apply(model, [surgery.replace(of="silu", part="mish")], X)
    assert edited.conv.bias.isnan().all()


def test_an_argument_without_effect_is_refused_at_its_sites():
    with pytest.raises(
        SurgeryError, match=r"the argument 'window' changes nothing at act.* the same with 5 and with 3"
    ):
        replace("Deaf", slope=0.2, window=5)
    replace("Deaf", slope=0.2)


def test_a_default_that_is_written_out_is_no_mistake():
    replace("Deaf", slope=0.1)
    replace("Scale", spread=1.0)


def test_what_stood_there_may_have_cut_the_gradient_or_mixed_its_samples():
    """The part is not held to more than the network was."""
    for kind in (Detached, BatchBound):
        model = drawn(Plain)
        model.act = kind()
        surgery.apply(model, [surgery.replace(of="act", part=f"broken_parts:{kind.__name__}")], X)


def test_values_are_looked_at_at_every_site():
    """A part that was tried on such shapes may still overflow on other values."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.SiLU(), nn.Conv2d(3, 3, 1), nn.SiLU(), nn.Conv2d(3, 3, 1))
    nn.init.zeros_(model[0].bias)
    nn.init.constant_(model[2].bias, 200.0)
    with pytest.raises(SurgeryError, match=r"3: broken_parts:Exponential gives NaN or inf on \[\(2, 3, 8, 8\)"):
        surgery.apply(model, [surgery.replace(of="silu", part="broken_parts:Exponential")], X)
