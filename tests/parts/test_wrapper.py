import math

import pytest
import torch
from timm.layers.layer_scale import LayerScale2d
from torch import nn
from torchvision.ops import StochasticDepth

from ablab import registry, testing
from ablab.errors import ConfigError
from ablab.measure.seeding import forked
from ablab.parts.wrapper import LayerScale, Residual, SpectralNorm, StochasticSkip, WeightNorm

CHECKS = [check for name in registry.names("wrapper") for check in testing.checks("wrapper", name)]
X = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(1))


def conv(inputs=4, outputs=4, kernel=3):
    with forked("wrapper"):
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class Block(nn.Module):
    """x + branch(x), the branch given to `drop` first."""

    def __init__(self, drop):
        super().__init__()
        self.branch, self.drop = conv(), drop

    def forward(self, x):
        return x + self.drop(self.branch(x))


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_wrapper_keeps_the_contract(check):
    check()


def test_every_wrapper_has_a_source_and_a_line():
    for name in registry.names("wrapper"):
        entry = registry.get(name, "wrapper")
        assert entry.paper
        assert entry.build.__doc__


def test_residual_by_hand():
    inner = conv()
    assert torch.equal(Residual(inner, 4)(X), X + inner(X))


def test_a_concatenation_that_learnt_the_sum_is_the_sum():
    part = Residual(conv(), 4, fuse="concat")
    eye = torch.eye(4)
    with torch.no_grad():
        part.merge.weight.copy_(torch.cat((eye, eye), dim=1)[:, :, None, None])
    assert torch.allclose(part(X), Residual(conv(), 4)(X), atol=1e-6)
    assert sum(p.numel() for p in part.merge.parameters()) == 2 * 4 * 4


def test_an_inner_module_that_writes_in_place_does_not_spoil_the_shortcut():
    inner = nn.Sequential(nn.ReLU(inplace=True), conv())
    expected = X + inner[1](X.relu())
    assert torch.equal(Residual(inner, 4)(X.clone()), expected)
    assert torch.allclose(StochasticSkip(inner, 0.0).train()(X.clone()), expected - X, atol=1e-6)


def test_layer_scale_is_timms():
    inner, theirs = conv(), LayerScale2d(4, init_values=0.3)
    assert torch.allclose(LayerScale(inner, 4, init=0.3)(X), theirs(inner(X)))


def test_layer_scale_weighs_channels_of_any_map():
    part = LayerScale(nn.Identity(), 4, init=2.0)
    assert torch.equal(part(X[:, :, 0, 0]), 2 * X[:, :, 0, 0])
    with torch.no_grad():
        part.factor.copy_(torch.arange(4.0))
    assert torch.equal(part(X), X * torch.arange(4.0)[:, None, None])


def test_skipping_a_residual_block_is_dropping_its_branch():
    """With equal seeds, torchvision's StochasticDepth on the branch gives the same."""
    block, theirs = Block(nn.Identity()), Block(StochasticDepth(0.5, "row")).train()
    part = StochasticSkip(block, 0.5).train()
    outputs = []
    for module in (part, theirs):
        with forked("skip"):
            outputs.append(module(X))
    assert torch.allclose(*outputs, atol=1e-5)
    skipped = (outputs[0] == X).flatten(1).all(dim=1)
    assert skipped.any()
    assert not skipped.all()


def test_skipping_keeps_the_mean_and_evaluation():
    block = Block(nn.Identity())
    part = StochasticSkip(block, 0.25)
    assert torch.equal(part.eval()(X), block(X))
    with forked("mean"), torch.no_grad():
        samples = part.train()(X[:1].expand(20_000, -1, -1, -1)) - X[:1]
        branch = block(X[:1]) - X[:1]
    kept = (samples.flatten(1).abs().sum(dim=1) > 0).float().mean()
    assert abs(float(kept) - 0.75) < 5 * math.sqrt(0.25 * 0.75 / 20_000)
    assert torch.allclose(samples.mean(0), branch[0], atol=0.05 * float(branch.abs().max()))


def test_weight_norm_keeps_the_function_and_splits_the_length():
    plain, part = conv(), WeightNorm(conv())
    assert torch.allclose(part(X), plain(X), atol=1e-6)
    length, direction = part.inner.parametrizations.weight.original0, part.inner.parametrizations.weight.original1
    assert torch.allclose(length.flatten(), plain.weight.flatten(1).norm(dim=1))
    with torch.no_grad():
        direction.mul_(7)  # a direction has no length
    assert torch.allclose(part(X), plain(X), atol=1e-5)


def test_spectral_norm_divides_by_the_largest_singular_value():
    plain = conv()
    part = SpectralNorm(conv(), n_power_iterations=50).train()
    part(X)
    largest = torch.linalg.svdvals(plain.weight.flatten(1))[0]
    assert torch.allclose(part.inner.weight, plain.weight / largest, rtol=1e-3)


def test_the_layer_behind_a_spectral_norm_may_stretch():
    """The docstring's caveat: the convolution's own gain lies between 1 and the root of kh * kw."""
    part = SpectralNorm(conv(), n_power_iterations=50).train()
    part(X)
    weight = part.inner.weight.detach().double()
    basis = torch.eye(4 * 49, dtype=torch.float64).reshape(-1, 4, 7, 7)
    gain = torch.linalg.svdvals(nn.functional.conv2d(basis, weight, padding=1).flatten(1))[0]
    assert 1.05 < float(gain) < 3


@pytest.mark.parametrize("kind", [WeightNorm, SpectralNorm])
def test_a_weight_to_norm_must_be_there(kind):
    for inner in (nn.ReLU(), nn.Sequential(conv()), nn.BatchNorm2d(4)):
        with pytest.raises(ConfigError, match=f"got {type(inner).__name__}"):
            kind(inner)


def test_another_way_to_fuse_is_a_mistake():
    with pytest.raises(ConfigError, match="fuse must be 'add' or 'concat', got 'sum'"):
        Residual(conv(), 4, fuse="sum")
