import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from ablab.errors import ConfigError
from ablab.measure import latency, peak_memory_mb

STATUS = Path("/proc/self/status")


class Noting(nn.Module):
    """Writes its name into a list when called."""

    def __init__(self, name, calls, seconds=None):
        super().__init__()
        self.name, self.calls, self.seconds = name, calls, seconds
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        self.calls.append((self.name, self.training, torch.is_inference_mode_enabled(), x.is_contiguous()))
        return self.conv(x)


class Clock:
    """Moves on by the next of some durations each second time that it is read."""

    def __init__(self, durations):
        self.now, self.steps = 0.0, itertools.chain.from_iterable((0.0, d) for d in durations)

    def __call__(self):
        self.now += next(self.steps)
        return self.now


X = torch.zeros(1, 3, 4, 4)


def test_models_take_turns_and_each_starts_a_round():
    calls = []
    latency({name: Noting(name, calls) for name in "abc"}, X, rounds=3, warmup=1)
    assert "".join(name for name, *_ in calls) == "abcbcacababc"
    assert all(not training and inference for _, training, inference, _ in calls)


def test_median_and_quartiles_by_hand():
    model = Noting("a", [])
    clock = Clock([9.0, 0.001, 0.002, 0.003, 0.004, 0.005])  # the warm-up is not counted
    measured = latency({"a": model}, X, rounds=5, warmup=1, clock=clock)["a"]
    assert measured.median_ms == pytest.approx(3)
    assert measured.iqr_ms == pytest.approx(2)  # 4 - 2
    assert model.training


def test_precision_and_memory_format_reach_the_model():
    seen = []
    model = nn.Sequential(nn.Conv2d(3, 2, 3))
    model[0].register_forward_hook(
        lambda conv, args, out: seen.append((out.dtype, layout(conv.weight), layout(args[0])))
    )
    latency({"a": model}, X, rounds=1, warmup=0, precision="bf16", channels_last=True)
    latency({"a": model}, (X,), rounds=1, warmup=0)
    assert seen == [(torch.bfloat16, "channels last", "channels last"), (torch.float32, "plain", "plain")]


def layout(tensor):
    return "plain" if tensor.is_contiguous() else "channels last"


def test_no_round_is_a_mistake():
    with pytest.raises(ConfigError, match="at least one round"):
        latency({"a": nn.Identity()}, X, rounds=0)


@pytest.mark.skipif(not STATUS.exists(), reason="the kernel's own figure is read from /proc")
def test_peak_memory_is_the_kernels_high_water_mark():
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_memory_mb() == pytest.approx(int(line.split()[1]) / 1024, rel=0.02)
