"""Noise against its papers' means and variances, and dropouts that break their promises."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from ablab import registry, surgery, testing
from ablab.errors import ConfigError, ContractError
from ablab.parts.dropout import DropBlock, GaussianDropout, UniformDropout
from ablab.registry import Entry
from ablab.surgery import contract

CHECKS = [check for name in registry.names("dropout") for check in testing.checks("dropout", name)]
KINDS = {
    "dropblock": DropBlock,
    "dropout": nn.Dropout,
    "dropout2d": nn.Dropout2d,
    "gaussian-dropout": GaussianDropout,
    "stochastic-depth": StochasticDepth,
    "uniform-dropout": UniformDropout,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def noise(name, *shape, **args):
    """What a map of ones becomes in training."""
    return registry.make(name, "dropout", **args).train()(torch.ones(*shape))


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_dropout_keeps_the_contract(check):
    check()


def test_the_slot():
    assert registry.names("dropout") == sorted(KINDS)
    assert {name: registry.get(name, "dropout").kind for name in KINDS} == KINDS


def test_stochastic_depth_is_found_where_torchvision_put_it():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), StochasticDepth(0.2, "batch"))
    edited, _ = surgery.apply(
        model, [surgery.replace(of="dropout/stochastic-depth", part="dropout2d")], torch.rand(1, 3, 4, 4)
    )
    assert isinstance(edited[1], nn.Dropout2d)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_gaussian_dropouts_noise(p):
    """Mean 1 and variance p / (1 - p), as dropout's; 400,000 draws."""
    drawn = noise("gaussian-dropout", 4, 10, 100, 100, p=p)
    assert drawn.mean().item() == pytest.approx(1, abs=0.01)
    assert drawn.var().item() == pytest.approx(p / (1 - p), rel=0.02)
    assert noise("dropout", 4, 10, 100, 100, p=p).var().item() == pytest.approx(p / (1 - p), rel=0.02)


def test_gaussian_dropout_flips_signs():
    """P(N(1, 1) < 0) = 0.159 at p 0.5."""
    flipped = (noise("gaussian-dropout", 4, 10, 100, 100) < 0).double().mean().item()
    assert flipped == pytest.approx((1 - math.erf(1 / math.sqrt(2))) / 2, abs=0.003)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_uniform_dropouts_noise(beta):
    drawn = noise("uniform-dropout", 4, 10, 100, 100, beta=beta)
    assert drawn.min().item() == pytest.approx(1 - beta, abs=1e-3)
    assert drawn.max().item() == pytest.approx(1 + beta, abs=1e-3)
    assert drawn.square().mean().item() == pytest.approx(1 + beta**2 / 3, abs=0.005)


@pytest.mark.parametrize(("name", "axes"), [("dropout2d", (2, 3)), ("stochastic-depth", (1, 2, 3))])
def test_what_is_dropped_together(name, axes):
    """A whole channel of a sample, or a whole sample; the rest grows by 1 / (1 - p)."""
    drawn = noise(name, 64, 8, 3, 3, p=0.2)
    assert torch.equal(drawn.amin(axes), drawn.amax(axes))
    assert set(drawn.unique().tolist()) == {0.0, 1.25}


def test_dropblock_drops_squares():
    drawn = noise("dropblock", 8, 16, 20, 20, p=0.1, block_size=5)
    gone = (drawn == 0).float()
    corners = nn.functional.pad((nn.functional.avg_pool2d(gone, 5, 1) > 0.999).float(), [4] * 4)
    squares = nn.functional.max_pool2d(corners, 5, 1)
    assert gone.any()
    assert torch.equal(squares, gone)  # every place that is gone lies in a 5x5 square that is
    assert drawn.mean().item() == pytest.approx(1, abs=1e-4)
    assert 0.07 < gone.mean().item() < 0.1  # blocks overlap: less than p


@pytest.mark.parametrize("side", [1, 2, 4, 6, 7])
def test_dropblock_fits_small_maps(side):
    """torchvision's module fails where the map is smaller than the block and of even sides."""
    drawn = noise("dropblock", 64, 16, side, side, p=0.3)
    assert (drawn == 0).any()
    assert drawn.mean().item() == pytest.approx(1, abs=1e-4)


def test_dropblock_in_half_precision():
    """More than 65,504 places: their sum is inf in float16, with which torchvision's module gives a map of zeros."""
    x = torch.ones(2, 16, 64, 64, dtype=torch.float16)
    assert DropBlock()(x).float().mean().item() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("gaussian-dropout", {"p": 1}),
        ("gaussian-dropout", {"p": -0.1}),
        ("uniform-dropout", {"beta": 1.5}),
        ("dropblock", {"p": 2}),
        ("dropblock", {"block_size": 6}),
    ],
)
def test_a_wrong_argument_is_refused(name, args):
    with pytest.raises(ConfigError, match=f"{name}: .*{next(iter(args))} .* got"):
        registry.make(name, "dropout", **args)


def test_they_say_what_they_are():
    assert str(GaussianDropout(0.2)) == "GaussianDropout(p=0.2)"
    assert str(UniformDropout(0.2)) == "UniformDropout(beta=0.2)"


class Noise(nn.Module):
    """Sound, where nothing is overridden."""

    def forward(self, x):
        return self.noisy(x) if self.training else x

    def noisy(self, x):
        return x * 2 * torch.rand_like(x)


class Unscaled(Noise):
    def noisy(self, x):
        return x * (torch.rand_like(x) > 0.1)


class Always(Noise):
    def forward(self, x):
        return self.noisy(x)


class Foreign(Noise):
    def noisy(self, x):
        return x * torch.from_numpy(np.random.default_rng().random(x.shape) * 2).to(x)


class Frozen(Noise):
    def noisy(self, x):
        return x * 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(x)


class Widening(Noise):
    def noisy(self, x):
        return x * 2 * torch.rand(x.shape)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (Unscaled, "mean kept? No: in training a map of ones has the mean 0.9"),
        (Always, "identity in evaluation? No: in evaluation mode it changes the map"),
        (Foreign, "equal seeds draw alike? No: equal seeds of torch gave unlike maps"),
        (Frozen, "equal seeds draw alike? No: unlike seeds of torch gave equal maps"),
        (Widening, "dtype kept in training? No: torch.bfloat16 became torch.float32"),
    ],
)
def test_a_broken_promise_is_named(build, words):
    contract.check(Entry("dropout", "sound", Noise))
    with pytest.raises(ContractError) as caught:
        contract.check(Entry("dropout", "broken", build))
    assert any(words in line for line in str(caught.value).splitlines())
