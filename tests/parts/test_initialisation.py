"""Initialisations by what their papers promise of the numbers drawn, and of what these do to a signal."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablab import registry, testing
from ablab.errors import ConfigError
from ablab.measure.seeding import forked

CHECKS = [check for name in registry.names("initialisation") for check in testing.checks("initialisation", name)]
SHAPE = (96, 48, 3, 3)
FAN_IN, FAN_OUT = 48 * 9, 96 * 9


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_initialisation_keeps_the_contract(check: Any) -> None:
    check()


def test_the_slot() -> None:
    assert registry.names("initialisation") == ["kaiming", "orthogonal", "xavier"]


def drawn(name: str, shape: tuple[int, ...] = SHAPE, seed: int = 0, dtype: Any = torch.float32, **args: Any) -> Tensor:
    weight = torch.empty(shape, dtype=dtype)
    with forked("drawn", seed):
        registry.make(name, "initialisation", **args)(weight)
    return weight


@pytest.mark.parametrize(
    ("name", "args", "std"),
    [
        ("kaiming", {}, (2 / FAN_IN) ** 0.5),
        ("kaiming", {"spread": "uniform"}, (2 / FAN_IN) ** 0.5),
        ("kaiming", {"fan": "out"}, (2 / FAN_OUT) ** 0.5),
        ("kaiming", {"slope": 1.0}, (1 / FAN_IN) ** 0.5),
        ("kaiming", {"slope": 5**0.5}, (1 / (3 * FAN_IN)) ** 0.5),
        ("xavier", {}, (2 / (FAN_IN + FAN_OUT)) ** 0.5),
        ("xavier", {"spread": "normal", "gain": 2**0.5}, (4 / (FAN_IN + FAN_OUT)) ** 0.5),
        ("orthogonal", {}, FAN_IN**-0.5),  # each row has length 1
        ("orthogonal", {"gain": 3.0}, 3 * FAN_IN**-0.5),
    ],
)
def test_mean_and_deviation(name: str, args: dict[str, Any], std: float) -> None:
    """41,472 numbers: the deviation is known to 0.35% (one standard error of a normal), the mean to std / 204."""
    weight = drawn(name, **args)
    assert weight.std().item() == pytest.approx(std, rel=0.015)
    assert abs(weight.mean().item()) < 4 * std / weight.numel() ** 0.5
    kurtosis = (weight / weight.std()).pow(4).mean().item()  # 3 of a normal, 9/5 of a uniform
    uniform = args.get("spread", "uniform" if name == "xavier" else "normal") == "uniform"
    assert kurtosis == pytest.approx(1.8 if uniform else 3.0, rel=0.05)
    if uniform:
        assert weight.abs().max().item() == pytest.approx(3**0.5 * std, rel=0.002)


def test_kaimings_default_is_not_torchs() -> None:
    """As its docstring says: 0.41 times as wide."""
    with forked("conv"):
        theirs = nn.Conv2d(48, 96, 3).weight.std().item()
    assert theirs / drawn("kaiming").std().item() == pytest.approx(6**-0.5, rel=0.02)  # 0.408


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(16, 96), (96, 16), (12, 12), SHAPE, (64, 1, 3, 3)])
def test_orthogonal_matrices(shape: tuple[int, ...], gain: float) -> None:
    matrix = drawn("orthogonal", shape, dtype=torch.float64, gain=gain).flatten(1)
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    eye = torch.eye(len(matrix), dtype=torch.float64)
    torch.testing.assert_close(matrix @ matrix.T, gain**2 * eye, rtol=0, atol=1e-12)


def test_orthogonal_is_spread_evenly() -> None:
    """A column of an evenly drawn rotation points anywhere: its mean is 0, its squares' 1/n, each sign as likely."""
    first = torch.stack([drawn("orthogonal", (5, 5), seed)[:, 0] for seed in range(600)])
    assert first.mean(0).abs().max() < 4 * (0.2 / 600) ** 0.5
    torch.testing.assert_close(first.square().mean(0), torch.full((5,), 0.2), rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("kaiming", {}, 1),
        ("kaiming", {"slope": 1.0}, 2**-10),  # made for no rectifier at all: half is lost in each layer
        ("xavier", {"gain": 2**0.5}, 1),
        ("xavier", {}, 2**-10),
        ("orthogonal", {"gain": 2**0.5}, 1),
    ],
)
def test_through_ten_layers_of_relu(name: str, args: dict[str, Any], expected: float) -> None:
    """Mean square after, over before. Its logarithm scatters by sqrt(5 layers / width) = 0.31: four times that."""
    with forked("signal"):
        x = torch.randn(64, 512)
    start = x.square().mean()
    for layer in range(10):
        x = (x @ drawn(name, (512, 512), layer, **args).T).relu()
    found = float(x.square().mean() / start) / expected
    assert abs(math.log(found)) < 4 * 0.31


def test_of_a_grouped_convolution_the_fan_in_is_right_and_the_fan_out_is_not() -> None:
    """As the slot's docstring says: a depthwise 3x3 keeps the variance of 9 inputs; `out` counts 64 times as many."""
    shape = (64, 1, 3, 3)
    deviations = [drawn("kaiming", shape, dtype=torch.float64, fan=fan).std().item() for fan in ("in", "out")]
    assert deviations[0] == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    assert deviations[0] / deviations[1] == pytest.approx(8)  # the same draws, over sqrt(64)


def test_a_convolution_of_an_orthogonal_weight_does_not_keep_lengths() -> None:
    """As its docstring says."""
    with forked("signal"):
        x = torch.randn(1, 4, 16, 16)
    out = nn.functional.conv2d(x, drawn("orthogonal", (36, 4, 3, 3)), padding=1)
    assert out.norm() / x.norm() > 2.5  # each pixel is in nine windows: 3, but for the border
    flat = nn.functional.conv2d(x, drawn("orthogonal", (4, 4, 1, 1)))
    assert flat.norm().item() == pytest.approx(x.norm().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("kaiming", {"fan": "inn"}, "fan is 'inn'; expected 'in' or 'out'"),
        ("kaiming", {"spread": "even"}, "spread is 'even'; expected 'normal' or 'uniform'"),
        ("xavier", {"spread": "even"}, "spread is 'even'"),
        ("orthogonal", {"gian": 2.0}, "takes no 'gian'; did you mean 'gain'"),
    ],
)
def test_a_wrong_argument_is_refused(name: str, args: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        registry.make(name, "initialisation", **args)


def test_a_vector_has_no_fan() -> None:
    with pytest.raises(ConfigError, match=r"wants a weight \(out, in, \.\.\.\), got \(4,\)"):
        drawn("kaiming", (4,))


def test_half_precision_is_the_rounded_draw() -> None:
    for name in registry.names("initialisation"):
        assert torch.equal(drawn(name, dtype=torch.bfloat16), drawn(name).to(torch.bfloat16))
