import pytest
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError
from ablab.surgery.select import glob, inside, select

STEP = st.text("abcxyz_019", min_size=1, max_size=5)
NAME = st.lists(STEP, min_size=1, max_size=5).map(".".join)


@pytest.fixture(scope="module")
def resnet():
    return torchvision.models.resnet18(num_classes=2)


def pick(model, of, within=None):
    return select(model, surgery.remove(of=of, within=within))


def test_a_part_means_every_module_of_its_class(resnet):
    found = pick(resnet, "relu")
    assert found == [name for name, module in resnet.named_modules() if type(module) is nn.ReLU]
    assert len(found) == 9
    assert pick(resnet, "activation/relu") == found


def test_a_part_is_read_before_a_module_of_the_same_name(resnet):
    assert pick(resnet, "[r]elu") == ["relu"]


def test_a_subclass_is_another_thing():
    model = nn.Sequential(nn.ReLU6(), nn.Hardtanh(), nn.ReLU())
    assert pick(model, "relu") == ["2"]
    assert pick(model, "Hardtanh") == ["1"]


def test_names_globs_and_classes(resnet):
    assert pick(resnet, "layer1.0.conv1") == ["layer1.0.conv1"]
    assert pick(resnet, "layer*.1.bn2") == [f"layer{n}.1.bn2" for n in (1, 2, 3, 4)]
    assert pick(resnet, "layer?.0.downsample") == [f"layer{n}.0.downsample" for n in (2, 3, 4)]
    assert pick(resnet, "BasicBlock") == [f"layer{n}.{i}" for n in (1, 2, 3, 4) for i in (0, 1)]
    assert pick(resnet, "torch.nn:MaxPool2d") == ["maxpool"]


def test_a_star_stays_within_a_step(resnet):
    assert pick(resnet, "layer1.*") == ["layer1.0", "layer1.1"]
    assert len(pick(resnet, "layer1.**")) == 2 * (1 + 5)


@pytest.mark.parametrize("within", ["layer2", "layer2.*", "layer2.**"])
def test_within_narrows(resnet, within):
    assert pick(resnet, "relu", within) == ["layer2.0.relu", "layer2.1.relu"]


def test_a_container_stands_for_its_contents():
    model = nn.ModuleDict({"out": nn.ModuleDict({"p3": nn.Identity(), "p4": nn.ModuleList([nn.SiLU(), nn.ReLU()])})})
    assert pick(model, "out") == ["out.p3", "out.p4.0", "out.p4.1"]


def test_an_unknown_within_is_an_error(resnet):
    with pytest.raises(SurgeryError, match="'within: layr2' matches no module; did you mean 'layer2'"):
        pick(resnet, "relu", "layr2")


@given(NAME)
def test_a_name_is_a_glob_for_itself(name):
    assert glob(name).fullmatch(name)
    assert glob("**").fullmatch(name)
    assert inside(name, name.split(".")[0])
    assert glob(".".join("*" for _ in name.split("."))).fullmatch(name)
    assert not glob(name).fullmatch(name + ".x")


@given(NAME, NAME)
def test_a_name_matches_no_other(one, other):
    assert (glob(one).fullmatch(other) is not None) == (one == other)


def test_letters_with_a_meaning_in_patterns_are_plain():
    assert glob("a.b").fullmatch("axb") is None
    assert glob("a[0").fullmatch("a[0")
    assert glob("stage[12].conv").fullmatch("stage2.conv")
    assert glob("stage[!12].conv").fullmatch("stage3.conv")
