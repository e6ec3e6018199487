"""Backbones of timm and torchvision, against the libraries themselves."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from ablab import registry, testing
from ablab.errors import ConfigError, ContractError, UnknownName
from ablab.measure.seeding import forked
from ablab.parts.backbone import from_timm, from_torchvision
from ablab.registry import Entry
from ablab.surgery import contract

TIMM = [
    "convnext_atto",
    "dla46_c",
    "edgenext_xx_small",
    "efficientvit_b0",
    "ghostnet_050",
    "hardcorenas_a",
    "hrnet_w18_small",
    "inception_next_atto",
    "lcnet_050",
    "mambaout_femto",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mobilevit_xxs",
    "pvt_v2_b0",
    "regnetx_002",
    "repghostnet_050",
    "resnet18",
    "skresnet18",
    "starnet_s1",
    "tf_efficientnet_lite0",
    "tinynet_e",
]
TORCHVISION = [
    "densenet121",
    "efficientnet_b0",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
]
CHECKS = [check for name in registry.names("backbone") for check in testing.checks("backbone", name)]


def image(height: int = 64, width: int = 96) -> Tensor:
    with forked("image"):
        return torch.rand(1, 3, height, width)


def normal(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return torchvision.transforms.functional.normalize(x, list(mean), list(std))


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_backbone_keeps_the_contract(check: contract.Check) -> None:
    check()


@pytest.mark.parametrize("name", TIMM)
def test_maps_are_those_of_timms_own_feature_network(name: str) -> None:
    ours = registry.make("timm", "backbone", name=name).eval()
    theirs = timm.create_model(name, features_only=True).eval()
    inner = ours.net.net if isinstance(ours.net, from_timm.Channels) else ours.net
    theirs.load_state_dict(inner.state_dict(), strict=False)  # it has what only earlier maps want besides
    data = timm.data.resolve_data_config({}, model=theirs)
    with torch.no_grad():
        maps, expected = ours(image()), theirs(normal(image(), data["mean"], data["std"]))
    if name == "mambaout_femto":  # channels last
        expected = [y.permute(0, 3, 1, 2) for y in expected]
    declared = dict(zip(theirs.feature_info.reduction(), theirs.feature_info.channels(), strict=True))
    last = dict(zip(theirs.feature_info.reduction(), expected, strict=True))
    assert ours.channels == tuple(declared[stride] for stride in ours.strides)
    assert all(torch.equal(y, last[stride]) for y, stride in zip(maps, ours.strides, strict=True))


@pytest.mark.parametrize("name", TORCHVISION)
def test_maps_are_those_of_torchvisions_own_feature_extractor(name: str) -> None:
    ours = registry.make("torchvision", "backbone", name=name).eval()
    whole = torchvision.models.get_model(name, weights=None)
    own = whole.state_dict()
    for key, tensor in ours.net.state_dict().items():
        own[key].copy_(tensor)
    tapped = [step for step in ours.net.steps if step in ours.net.outputs]
    theirs = create_feature_extractor(whole.eval(), tapped)
    config = torchvision.models.get_model_weights(name)["DEFAULT"].transforms()
    with torch.no_grad():
        maps, expected = ours(image()), theirs(normal(image(), config.mean, config.std))
    assert [y.shape[1] for y in maps] == list(ours.channels)
    assert [(64 // y.shape[2], 96 // y.shape[3]) for y in maps] == [(8, 8), (16, 16), (32, 32)]
    assert all(torch.equal(y, expected[step]) for y, step in zip(maps, tapped, strict=True))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet50", (512, 1024, 2048)),  # He et al. 2016, table 1
        ("vgg16_bn", (512, 512, 512)),
        ("densenet121", (512, 1024, 1024)),  # Huang et al. 2017: 4k 128 + 12 k, halved, + 24 k, halved, + 16 k
        ("convnext_tiny", (192, 384, 768)),  # Liu et al. 2022
        ("mobilenet_v2", (32, 96, 1280)),  # Sandler et al. 2018, table 2
    ],
)
def test_channels_of_the_papers(name: str, channels: tuple[int, ...]) -> None:
    assert from_torchvision.taps(name)[2] == channels


@pytest.mark.parametrize(
    ("part", "name", "why"),
    [
        ("timm", "swin_tiny_patch4_window7_224", "Input height"),
        ("timm", "shvit_s1", "strides 16, 32"),
        ("timm", "botnet26t_256", "AssertionError"),
        ("torchvision", "vit_b_16", "Wrong image height"),
        ("torchvision", "squeezenet1_0", "of no whole number"),
    ],
)
def test_a_network_without_the_maps_is_refused_with_names_that_work(part: str, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        registry.make(part, "backbone", name=name)
    offered = re.split(r"these do: ", str(caught.value))[1].split(", ")
    taps = from_timm.taps if part == "timm" else from_torchvision.taps
    assert len(offered) >= 5
    assert all(taps(word) for word in offered)


@pytest.mark.parametrize(("part", "near"), [("timm", "resnet18"), ("torchvision", "resnet18")])
def test_an_unknown_name_offers_the_nearest(part: str, near: str) -> None:
    with pytest.raises(UnknownName, match=f"did you mean '{near}'"):
        registry.make(part, "backbone", name="resnet_18")


def whole_network(part: str, name: str) -> nn.Module:
    with forked("whole", part, name):
        return timm.create_model(name) if part == "timm" else torchvision.models.get_model(name, weights=None)


NAMES = {"timm": "mobilenetv3_small_100", "torchvision": "mobilenet_v3_small"}


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("part", NAMES)
def test_a_local_file_is_loaded_to_the_bit(part: str, suffix: str, tmp_path: Path) -> None:
    state = whole_network(part, NAMES[part]).state_dict()
    path = tmp_path / f"w.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save({"state_dict": state, "epoch": 3}, path)
    made = registry.make(part, "backbone", name=NAMES[part], pretrained=str(path))
    own = made.net.state_dict()
    assert len(own) > 150
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())
    assert made.pretrained
    assert not registry.make(part, "backbone", name=NAMES[part]).pretrained


def test_a_file_of_timms_whole_convnext_fits_the_flattened_names(tmp_path: Path) -> None:
    """timm writes `stages.0` as `stages_0` once it takes a network apart; the last map is what the whole one makes."""
    whole = whole_network("timm", "convnext_atto").eval()
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    made = registry.make("timm", "backbone", name="convnext_atto", pretrained=str(tmp_path / "w.safetensors")).eval()
    assert any(name.startswith("stages_0") for name in made.net.state_dict())
    with torch.no_grad():
        x = normal(image(), timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD)
        assert torch.equal(made(image())[2], whole.forward_features(x))


def test_a_half_precision_file_is_cast(tmp_path: Path) -> None:
    state = {name: t.bfloat16() if t.is_floating_point() else t for name, t in _resnet_state().items()}
    save_file(state, tmp_path / "w.safetensors")
    made = registry.make("timm", "backbone", name="resnet18", pretrained=str(tmp_path / "w.safetensors"))
    assert made.net.conv1.weight.dtype == torch.float32
    assert torch.equal(made.net.conv1.weight, state["conv1.weight"].float())


def test_the_file_does_not_move_the_generator(tmp_path: Path) -> None:
    """What is drawn after the backbone is the same with and without a file: neck and head stay paired."""
    torch.save(_resnet_state(), tmp_path / "w.pt")
    after = []
    for pretrained in (False, str(tmp_path / "w.pt")):
        with forked("model"):
            registry.make("timm", "backbone", name="resnet18", pretrained=pretrained)
            after.append(torch.rand(4))
    assert torch.equal(*after)


@pytest.mark.parametrize(
    ("file", "asked", "said"),
    [
        ("resnet34", "resnet18", r"unknown to timm's resnet18: layer1.2.conv1.weight"),
        ("resnet18", "resnet34", r"not in the file: layer1.2.conv1.weight"),
        ("lcnet_050", "resnet18", r"not in the file: conv1.weight"),
        ("lcnet_050", "lcnet_075", r"of another shape: conv_stem.weight \(8, 3, 3, 3\), expected \(16, 3, 3, 3\)"),
    ],
)
def test_a_file_of_another_network_is_named(file: str, asked: str, said: str, tmp_path: Path) -> None:
    torch.save(whole_network("timm", file).state_dict(), tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=f"w.pt does not hold timm's {asked}.*{said}.*name the network"):
        registry.make("timm", "backbone", name=asked, pretrained=str(tmp_path / "w.pt"))


def test_nan_is_named_and_a_missing_file_is_said(tmp_path: Path) -> None:
    state = _resnet_state()
    state["layer3.0.bn1.running_var"][5] = torch.nan
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"NaN or inf in: layer3.0.bn1.running_var"):
        registry.make("timm", "backbone", name="resnet18", pretrained=str(tmp_path / "w.pt"))
    with pytest.raises(ConfigError, match=r"no file .*v.pt; did you mean 'w.pt'"):
        registry.make("timm", "backbone", name="resnet18", pretrained=str(tmp_path / "v.pt"))


def test_without_a_network_a_local_file_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_pretrained", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    for part in NAMES:
        with pytest.raises(ConfigError, match=r"cannot fetch .*no route to host.*pretrained: path/to/file.safetensors"):
            registry.make(part, "backbone", name="resnet18", pretrained=True)


class Reverse(nn.Module):
    """A user's backbone that breaks one promise after the other."""

    channels, strides = (8, 16, 32), (8, 16, 32)

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        widths = (3, *self.channels)
        kernels = (8, 2, 2)
        self.steps = nn.ModuleList(nn.Conv2d(a, b, k, k) for a, b, k in zip(widths, widths[1:], kernels, strict=False))
        self.spare = nn.Conv2d(3, 3, 1) if fault == "idle" else nn.Identity()
        if fault == "channels":
            self.channels = (8, 16, 64)
        if fault == "strides":
            self.strides = (4, 8, 16)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        x = x - x.mean(dim=0) if self.fault == "batch" else x
        for step in self.steps:
            maps.append(x := step(x))
        return maps


@pytest.mark.parametrize(
    ("fault", "promise", "words"),
    [
        ("channels", "declared channels and strides are measured", "it declares .*64"),
        ("strides", "declared channels and strides are measured", r"it declares .*strides \(4, 8, 16\)"),
        ("idle", "gradient reaches every parameter", "no map depends on spare.weight"),
        ("batch", "one sample does not depend on its batch", "changes by .* with its batch"),
    ],
)
def test_a_users_backbone_is_held_to_its_word(fault: str, promise: str, words: str) -> None:
    entry = Entry("backbone", "mine", Reverse, traits={"alternatives": {"fault": [fault, "none"]}})
    checks = {check.promise.__name__.replace("_", " "): check for check in contract.checks(entry)}
    with pytest.raises(ContractError, match=words):
        checks[promise]()
    sound = Entry("backbone", "mine", Reverse, traits={"alternatives": {"fault": ["none"]}})
    contract.Check(sound, checks[promise].promise)()


def _resnet_state() -> dict[str, Tensor]:
    return whole_network("timm", "resnet18").state_dict()
