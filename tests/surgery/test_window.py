"""A part in place of a convolution is told what nn.Conv2d was told; the edit may say otherwise."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Plain, drawn
from torch import nn

from ablab import surgery
from ablab.errors import ConfigError, SurgeryError
from ablab.surgery.feed import Feed
from ablab.surgery.host import window

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Own(nn.Conv2d):
    """A convolution of the user's own, by import string."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, gain: float = 1.0):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
        self.gain = gain

    def forward(self, x):
        return super().forward(x) * self.gain


def told(conv, feeds=(), **args):
    return window(conv, args, feeds, "here")


def fed(conv, x):
    return (Feed((x,), {}, conv(x), False),)


def test_what_stands_there_is_told():
    conv = nn.Conv2d(6, 4, (3, 5), stride=2, padding=(1, 2), dilation=1, groups=2, bias=False)
    assert told(conv) == {
        "in_channels": 6,
        "out_channels": 4,
        "kernel_size": (3, 5),
        "stride": 2,
        "padding": (1, 2),
        "dilation": 1,
        "groups": 2,
        "bias": False,
    }
    assert told(nn.Conv2d(3, 8, 3, padding="same"))["padding"] == "same"
    assert told(nn.Conv2d(3, 8, 1))["bias"] is True


@settings(max_examples=60)
@given(
    st.sampled_from([1, 2, 3, 4, 6, 7]),
    st.sampled_from([1, 2, 4]),
    st.integers(0, 3),
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 3),
    st.integers(12, 21),
)
def test_another_kernel_or_dilation_keeps_the_shape(kernel, stride, padding, wanted, rate, size):
    """Against torch: the shape stays, wherever some padding keeps it. Where both kernels are odd it stays at every
    size."""
    conv = nn.Conv2d(1, 1, kernel, stride, padding)
    x = torch.zeros(1, 1, size, size + 1)
    facts = told(conv, fed(conv, x), kernel_size=wanted, dilation=rate)
    assert facts["kernel_size"] == kernel  # the edit's own words are not repeated
    fitting = (
        [
            p
            for p in range(12)
            if nn.functional.conv2d(x, torch.zeros(1, 1, wanted, wanted), None, stride, p, rate).shape == conv(x).shape
            if (size + 2 * p) > rate * (wanted - 1)
        ]
        if all(size + 2 * p > rate * (wanted - 1) for p in range(12))
        else None
    )
    if fitting is None:
        return
    new = nn.functional.conv2d(x, torch.zeros(1, 1, wanted, wanted), None, stride, facts["padding"], rate)
    ideal = padding + (rate * (wanted - 1) - (kernel - 1)) / 2
    if ideal >= 0 and ideal == int(ideal):
        assert facts["padding"] == ideal
        assert new.shape == conv(x).shape


def test_a_same_padding_grows_with_the_window():
    conv = nn.Conv2d(3, 8, 3, padding=1)
    assert told(conv, fed(conv, X), kernel_size=5)["padding"] == 2
    assert told(conv, fed(conv, X), kernel_size=7, dilation=2)["padding"] == 6
    assert told(conv, fed(conv, X), kernel_size=(3, 5))["padding"] == (1, 2)
    assert told(conv, fed(conv, X), kernel_size=1)["padding"] == 0
    assert told(conv, fed(conv, X), kernel_size=5, padding=0)["padding"] == 2  # the edit's own word goes before


def test_a_stem_of_even_kernel_becomes_odd():
    """6x6 of stride 2 and padding 2, as YOLOv5's: 3x3 of padding 1 gives the same shape."""
    conv = nn.Conv2d(3, 8, 6, 2, 2)
    assert told(conv, fed(conv, X), kernel_size=3)["padding"] == 1
    conv = nn.Conv2d(3, 8, 3, 2, 1)
    assert told(conv, fed(conv, X), kernel_size=4)["padding"] == 1


def test_every_convolution_of_a_network_goes():
    model = drawn(torchvision.models.resnet18, num_classes=3)
    image = torch.rand(2, 3, 32, 32)
    edit = surgery.replace(of="Conv2d", part="depthwise-separable", but=["conv1"], expect=19)
    edited, _ = surgery.apply(model, [edit], image)
    assert edited(image).shape == (2, 3)
    old, new = model.layer2[0].conv1, edited.layer2[0].conv1
    assert (new.in_channels, new.out_channels, new.stride) == (old.in_channels, old.out_channels, (2, 2))
    again, _ = surgery.apply(edited, [surgery.replace(of="layer2.0.conv1", part="conv")], image)
    assert vars(again.layer2[0].conv1)["kernel_size"] == (3, 3)


def test_a_larger_kernel_everywhere():
    model = drawn(torchvision.models.resnet18, num_classes=3)
    image = torch.rand(2, 3, 32, 32)
    edited, report = surgery.apply(model, [surgery.replace(of="layer*.*.conv*", part="conv", kernel_size=5)], image)
    assert {module.padding for name, module in edited.named_modules() if name.endswith("conv2")} == {(2, 2)}
    assert all(site.output_shape == (2, *site.output_shape[1:]) for site in report.sites)


def test_a_foreign_convolution_is_told_too():
    edited, _ = surgery.apply(drawn(Plain), [surgery.replace(of="conv", part=f"{__name__}:Own", gain=2.0)], X)
    assert (edited.conv.kernel_size, edited.conv.padding, edited.conv.gain) == ((3, 3), (1, 1), 2.0)


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (surgery.replace(of="act", part="conv"), SurgeryError, "act: conv stands where a convolution.* here is a SiLU"),
        (
            surgery.insert(after="act", part="conv"),
            SurgeryError,
            "stands in place of a convolution; write 'op: replace'",
        ),
        (surgery.replace(of="conv", part="conv", stride=2), SurgeryError, r"conv: conv turns .* into \(2, 8, 4, 4\)"),
        (surgery.replace(of="head", part="repvgg"), ConfigError, "head: repvgg wants an odd kernel"),
    ],
)
def test_where_no_convolution_fits(edit, error, words):
    with pytest.raises(error, match=words):
        surgery.apply(drawn(Plain), [edit], X)


def test_convolutions_of_another_kind_are_refused():
    for other in (nn.Conv1d(3, 4, 3), nn.ConvTranspose2d(3, 4, 2)):
        with pytest.raises(SurgeryError, match=r"Conv1d|ConvTranspose2d"):
            told(other, (Feed((torch.zeros(2, 3, 8),), {}, None, False),))
