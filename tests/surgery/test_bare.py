"""Networks that something stands around, or that are not in single precision."""

import pytest
import torch
import torchvision
from networks import Plain, drawn
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError
from ablab.parts.activation import FReLU

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
FRELU = surgery.replace(of="silu", part="frelu")


def backend(calls):
    """For torch.compile: runs the graph as it is and counts."""

    def compiler(graph, inputs):
        calls.append(graph)
        return graph.forward

    return compiler


def test_a_compiled_network_comes_back_compiled():
    calls: list[object] = []
    model = drawn(Plain).eval()
    compiled = torch.compile(model, backend=backend(calls))
    edited, report = surgery.apply(compiled, [FRELU], X)
    assert type(edited) is type(compiled)
    assert edited is not compiled
    assert [site.name for site in report.sites] == ["act"]
    assert isinstance(edited._orig_mod.act, FReLU)
    assert isinstance(model.act, nn.SiLU)
    assert not calls
    plain, _ = surgery.apply(model, [FRELU], X)
    assert torch.allclose(edited(X), plain(X), atol=1e-6)
    assert calls
    assert not edited.training


def test_a_compiled_block_inside_a_network():
    inner = drawn(Plain).eval()
    model = nn.Sequential(nn.Identity(), torch.compile(inner, backend="eager")).eval()
    edited, report = surgery.apply(model, [FRELU, surgery.insert(after="1.norm", part="se")], X)
    assert [site.name for site in report.sites] == ["1.act", "1.norm.se"]
    assert type(edited[1]) is type(model[1]) is not Plain
    bare, _ = surgery.apply(nn.Sequential(nn.Identity(), inner), [FRELU, surgery.insert(after="1.norm", part="se")], X)
    assert torch.allclose(edited(X), bare(X), atol=1e-6)


def test_a_compiled_block_that_is_wrapped_or_goes():
    model = nn.Sequential(torch.compile(drawn(Plain), backend="eager"))
    edited, _ = surgery.apply(model, [surgery.wrap(of="0", part=f"{__name__}:Half")], X)
    assert type(edited[0].inner) is type(model[0])
    edited, _ = surgery.apply(model, [surgery.replace(of="0", part=f"{__name__}:Tiny")], X)
    assert type(edited[0]) is Tiny


class Half(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) / 2


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return self.conv(x)


def test_data_parallel_comes_back_likewise():
    model = drawn(Plain)
    edited, report = surgery.apply(nn.DataParallel(model), [FRELU], X)
    assert isinstance(edited, nn.DataParallel)
    assert [site.name for site in report.sites] == ["act"]
    assert torch.equal(edited.eval()(X), surgery.apply(model, [FRELU], X)[0].eval()(X))


def test_distributed_data_parallel_says_what_to_do():
    class Fake(nn.parallel.DistributedDataParallel):
        def __init__(self, module):
            nn.Module.__init__(self)
            self.module = module

    with pytest.raises(SurgeryError, match=r"operate on `model.module`"):
        surgery.apply(Fake(drawn(Plain)), [FRELU], X)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_parts_take_the_networks_precision(dtype):
    model = drawn(torchvision.models.resnet18, num_classes=3).to(dtype)
    image = torch.rand(2, 3, 32, 32).to(dtype)
    edits = [
        surgery.replace(of="relu", part="frelu"),
        surgery.insert(after="layer2", part="cbam"),
        surgery.insert(branch="layer3.*", part="eca"),
        surgery.wrap(of="layer1.1", part="residual", fuse="concat"),
        surgery.convert(of="layer4.*.conv2", part="repvgg"),
    ]
    edited, report = surgery.apply(model, edits, image)
    assert {p.dtype for p in edited.parameters()} == {dtype}
    assert {b.dtype for b in edited.buffers() if b.is_floating_point()} == {dtype}
    assert edited(image).dtype == dtype
    assert max(site.drift for site in report.sites if site.drift is not None) < 100 * torch.finfo(dtype).eps


class Named(nn.Module):
    """Takes and gives dictionaries; a tuple lies inside."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.SiLU()

    def forward(self, batch):
        y = self.act(self.conv(batch["image"]))
        return {"map": y, "more": (y.mean((2, 3)), [y.shape[0]])}


def test_dictionaries_go_in_and_come_out():
    example = ({"image": X},)
    edited, report = surgery.apply(drawn(Named), [FRELU, surgery.insert(before="act", part="se")], example)
    assert [site.name for site in report.sites] == ["act", "act.se"]
    assert list(edited({"image": X})) == ["map", "more"]
