"""Where a convolution stands: another window around the same centres."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ablab.errors import ConfigError
from ablab.parts.conv.site import site, site_of

SIZE = st.integers(9, 15)


@settings(max_examples=80, deadline=None)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
    other=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    rate=st.integers(1, 3),
    size=st.tuples(SIZE, SIZE),
)
def test_another_window_keeps_the_outputs_size(kernel, stride, padding, dilation, other, rate, size):
    here = site(1, 1, kernel, stride, padding, dilation)
    x = torch.zeros(1, 1, *size)
    try:
        there = here.window(kernel_size=other, dilation=rate)
    except ConfigError:
        assert any((rate * (k - 1) - dilation * (kernel - 1)) % 2 for k in other)
        return
    if min(there.padding) >= 0 or all(
        rate * (k - 1) < s + 2 * p for k, s, p in zip(other, size, there.padding, strict=True)
    ):
        assert nn.Sequential(there.crop(), there.conv())(x).shape == here.conv()(x).shape


def test_a_valid_3x3_becomes_a_cropped_1x1():
    here = site(1, 1, 3)
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert torch.equal(here.window(kernel_size=1).crop()(x), x[:, :, 1:-1, 1:-1])


def test_padding_in_torchs_words():
    assert site(1, 1, 3, padding="same", dilation=2).padding == (2, 2)
    assert site(1, 1, (1, 5), padding="same").padding == (0, 2)
    assert site(1, 1, 3, padding="valid").padding == (0, 0)
    with pytest.raises(ConfigError, match="differs by side for a kernel of \\(2, 2\\)"):
        site(1, 1, 2, padding="same")
    with pytest.raises(ConfigError, match="got 'full'"):
        site(1, 1, 3, padding="full")


def test_sizes_as_yaml_has_them():
    assert site(1, 1, [3, 5], [1, 2], [1, 2]) == site(1, 1, (3, 5), (1, 2), (1, 2))


def test_the_site_of_a_convolution_builds_it_again():
    conv = nn.Conv2d(4, 6, (3, 5), stride=(1, 2), padding="valid", dilation=2, groups=2, bias=False)
    again = site_of(conv).conv()
    assert again.weight.shape == conv.weight.shape
    x = torch.zeros(1, 4, 12, 14)
    assert again(x).shape == conv(x).shape


def test_what_keeps_the_shape():
    assert site(8, 8, 3, padding=1).keeps_shape
    assert site(8, 8, 3, padding=2, dilation=2).keeps_shape
    for other in (site(8, 8, 3), site(8, 9, 3, padding=1), site(8, 8, 3, stride=2, padding=1)):
        assert not other.keeps_shape
