"""Fused networks compute what they computed: ours, torchvision's, parts that fold, and what must be left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from shipped import SIZE, detector
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ablab import registry
from ablab.errors import RunError
from ablab.export.fuse import fold_norms, fuse, plain_weights, reparameterize
from ablab.measure.forward import tensors
from ablab.measure.seeding import forked


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def lived_in(make: Callable[[], nn.Module], x: Tensor) -> nn.Module:
    """A network whose running statistics and scales are no longer those it started with."""
    with forked("lived in"), torch.no_grad():
        model = make()
        for name, parameter in model.named_parameters():
            parameter += 0.1 * torch.randn_like(parameter) * ("norm" in name or "bn" in name)
        for _ in range(3):
            model.train()(2 * x + 0.5)
    return model.eval()


def same(old: nn.Module, new: nn.Module, x: Tensor) -> bool:
    with torch.no_grad():
        pairs = list(zip(tensors(old(x)), tensors(new(x)), strict=True))
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, float(a.abs().max()))) for a, b in pairs)


@pytest.mark.parametrize("head", ["anchor", "anchor-free"])
def test_our_detectors_lose_every_norm(head: str) -> None:
    model = detector(head)
    x = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    fused = fuse(model, x)
    assert norms(model) > 30
    assert norms(fused) == 0
    assert same(model, fused, x)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_foreign_networks_too(name: str) -> None:
    x = noise(2, 3, 64, 64)
    model = lived_in(lambda: torchvision.models.get_model(name, weights=None), x)
    fused = fuse(model, x)
    assert norms(fused) == 0 < norms(model)
    assert same(model, fused, x)


@pytest.mark.parametrize("part", ["repvgg", "acnet", "central-difference"])
def test_parts_of_several_branches_become_one_convolution(part: str) -> None:
    def make() -> nn.Module:
        return nn.Sequential(
            registry.make(part, "conv", in_channels=8, out_channels=8, kernel_size=3, padding=1), nn.ReLU()
        )

    x = noise(2, 8, 9, 7)
    model = lived_in(make, x)
    fused = fuse(model, x)
    assert type(fused[0]) is nn.Conv2d
    assert same(model, fused, x)


def test_a_part_and_the_norm_behind_it_become_one_convolution() -> None:
    def make() -> nn.Module:
        part = registry.make("repvgg", "conv", in_channels=4, out_channels=6, kernel_size=3, padding=1)
        return nn.Sequential(part, nn.BatchNorm2d(6), nn.SiLU())

    x = noise(2, 4, 8, 8)
    model = lived_in(make, x)
    fused = fuse(model, x)
    assert [type(m) for m in fused] == [nn.Conv2d, nn.Identity, nn.SiLU]
    assert same(model, fused, x)


def test_parametrised_weights_become_plain() -> None:
    def make() -> nn.Module:
        conv = parametrizations.weight_norm(nn.Conv2d(3, 5, 3))
        return nn.Sequential(conv, nn.BatchNorm2d(5))

    x = noise(2, 3, 8, 8)
    model = lived_in(make, x)
    fused = fuse(model, x)
    assert set(fused.state_dict()) == {"0.weight", "0.bias"}
    assert same(model, fused, x)
    assert (plain_weights(model), plain_weights(fused)) == (1, 0)


class Twice(nn.Module):
    """The convolution's output is normed, and used as it is too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y + self.norm(y)


class Shared(nn.Module):
    """One convolution before two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.conv(x)) + self.two(self.conv(-x))


class Shown(nn.Module):
    """The convolution's output leaves the network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x)
        return y, self.norm(y)


class Between(nn.Module):
    """Something happens between the two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


@pytest.mark.parametrize("make", [Twice, Shared, Shown, Between])
def test_what_cannot_be_folded_is_left_alone(make: type[nn.Module]) -> None:
    x = noise(2, 3, 8, 8)
    model = lived_in(make, x)
    fused = fuse(model, x)
    assert norms(fused) == norms(model)
    assert same(model, fused, x)


def test_a_norm_of_the_batchs_own_statistics_stays() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    assert fold_norms(model, noise(2, 3, 4, 4)) == 0


def test_the_model_itself_is_not_touched() -> None:
    x = noise(2, 3, 8, 8)
    model = lived_in(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), x)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fuse(model, x)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert isinstance(model[1], nn.BatchNorm2d)


class Lying(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x

    def fuse(self) -> nn.Module:
        return nn.Identity()


class Merging(nn.Module):
    """Its `fuse` is another matter: it wants arguments."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(x, x)

    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


def test_a_fuse_that_computes_something_else_is_refused() -> None:
    with pytest.raises(RunError, match="changed its outputs"):
        fuse(nn.Sequential(Lying()), noise(1, 3, 4, 4))


def test_a_fuse_with_arguments_is_not_called() -> None:
    assert reparameterize(nn.Sequential(Merging())) == 0
