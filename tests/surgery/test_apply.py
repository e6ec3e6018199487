import copy

import pytest
import torch
import torchvision
from networks import Branch, Functional, Host, Plain, Tokens, drawn, yolo
from torch import nn

from ablab import surgery
from ablab.errors import ConfigError, SurgeryError, UnknownName
from ablab.measure import flops, parameters
from ablab.parts.activation import FReLU
from ablab.parts.attention import CBAM

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
SCENE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
FRELU = surgery.replace(of="silu", part="frelu")
ATTENTION = surgery.insert(after="backbone.out", part="cbam", expect=3)


@pytest.fixture(scope="module")
def detector():
    return yolo()


@pytest.fixture(scope="module")
def operated(detector):
    return surgery.apply(detector, [FRELU, ATTENTION], SCENE, key=("study", 3))


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_silu_of_yolov5n_becomes_a_frelu(detector, operated):
    model, report = operated
    assert sum(type(m) is FReLU for m in model.modules()) == 57
    assert sum(type(m) is nn.SiLU for m in model.modules()) == 0
    assert sum(type(m) is nn.SiLU for m in detector.modules()) == 57
    assert [site.op for site in report.sites] == ["replace"] * 57 + ["insert"] * 3
    stem = report.sites[0]
    assert (stem.name, stem.old, stem.new) == ("backbone.stem.act", "SiLU", "frelu")
    assert stem.input_shape == stem.output_shape == (2, 16, 32, 32)


def test_gains_by_hand(operated):
    """FReLU: 9 weights and 2 norm numbers a channel, 9 multiply-adds a number of the map.

    CBAM: two 1x1 convolutions without bias (C, C / 16) used on mean and maximum, and a 7x7 one (2, 1) with its norm.
    """
    _, report = operated
    weights = operations = 0
    for site in report.sites:
        b, c, h, w = site.output_shape
        if site.new == "frelu":
            assert site.parameters == 11 * c
            operations += 2 * 9 * b * c * h * w
        else:
            assert site.parameters == 2 * c * (c // 16) + 2 * 49 + 2
            operations += 2 * (4 * b * c * (c // 16) + 2 * 49 * b * h * w)
        weights += site.parameters
    assert report.parameters == weights
    assert report.flops == operations


def test_inserted_parts_stand_beside_their_hosts(operated):
    model, report = operated
    assert [site.name for site in report.sites[57:]] == [f"backbone.out.p{n}.cbam" for n in (3, 4, 5)]
    assert isinstance(model.backbone.out["p4"].cbam, CBAM)
    assert isinstance(model.backbone.out["p4"].host, nn.Identity)


def test_outputs_keep_their_shapes(detector, operated):
    before, after = detector.eval()(SCENE), operated[0].eval()(SCENE)
    assert [y.shape for y in before] == [y.shape for y in after]
    assert not same(before, after)


def test_the_same_key_gives_the_same_weights_and_another_key_others(detector, operated):
    again, _ = surgery.apply(detector, [FRELU, ATTENTION], SCENE, key=("study", 3))
    other, _ = surgery.apply(detector, [FRELU, ATTENTION], SCENE, key=("study", 4))
    first, second, third = (m.state_dict() for m in (operated[0], again, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["backbone.stem.act.window.weight"], third["backbone.stem.act.window.weight"])


def test_what_is_drawn_at_a_site_does_not_depend_on_other_edits(detector, operated):
    alone, _ = surgery.apply(detector, [ATTENTION], SCENE, key=("study", 3))
    ours, theirs = alone.backbone.out.state_dict(), operated[0].backbone.out.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_state_dict_goes_round(detector, operated):
    model, _ = operated
    other, _ = surgery.apply(detector, [FRELU, ATTENTION], SCENE, key=("study", 4))
    other.load_state_dict(model.state_dict())
    assert same(model.eval()(SCENE), other.eval()(SCENE))


def test_an_operated_network_trains(operated):
    model = copy.deepcopy(operated[0]).train()
    sum(y.square().mean() for y in model(SCENE)).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_model_stands_as_it_stood():
    model = drawn(Plain).train()
    model.norm.eval()
    model.norm.running_mean.fill_(0.5)
    before, kept = copy.deepcopy(model.state_dict()), dict(model.named_modules())
    generator = torch.get_rng_state()
    edits = [FRELU, surgery.insert(after="norm", part="se"), surgery.remove(of="drop")]
    edited, _ = surgery.apply(model, edits, X)
    assert torch.equal(torch.get_rng_state(), generator)
    assert dict(model.named_modules()) == kept
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)
    assert (edited.training, edited.norm.host.training, edited.norm.se.training) == (True, False, False)
    assert (edited.act.training, edited.drop.training) == (True, True)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in [*model.modules(), *edited.modules()])
    assert torch.equal(edited.norm.host.running_mean, model.norm.running_mean)


def test_no_edit_gives_an_equal_copy():
    model = drawn(Plain).eval()
    edited, report = surgery.apply(model, [], X)
    assert edited is not model
    assert torch.equal(edited(X), model(X))
    assert (report.sites, report.parameters, report.flops) == ((), 0, 0)


def test_to_replace_a_part_by_its_like_changes_nothing():
    model = drawn(Plain).eval()
    edited, report = surgery.apply(model, [surgery.replace(of="silu", part="silu")], X)
    assert edited.act is not model.act
    assert torch.equal(edited(X), model(X))
    assert (report.parameters, report.flops) == (0, 0)


def test_remove_leaves_an_identity():
    model = drawn(Plain).eval()
    edited, report = surgery.apply(model, [surgery.remove(of="silu"), surgery.remove(of="norm")], X)
    assert torch.equal(edited(X), model.head(model.conv(X)))
    assert [site.new for site in report.sites] == ["Identity", "Identity"]
    assert report.parameters == -16


def test_insert_before_and_after_one_host_keeps_the_order():
    model = drawn(Plain).eval()
    edits = [
        surgery.insert(after="act", part="sigmoid"),
        surgery.insert(before="act", part="relu"),
        surgery.insert(after="act", part="sigmoid"),
    ]
    edited, report = surgery.apply(model, edits, X)
    assert list(dict(edited.act.named_children())) == ["relu", "host", "sigmoid", "sigmoid_2"]
    assert [site.name for site in report.sites] == ["act.sigmoid", "act.relu", "act.sigmoid_2"]
    inner = model.act(model.norm(model.conv(X)).relu()).sigmoid().sigmoid()
    assert torch.equal(edited(X), model.head(inner))


def test_a_later_edit_sees_an_earlier_one():
    edits = [
        surgery.insert(after="act", part="se"),
        surgery.replace(of="relu", part="hardswish", expect=1),
        surgery.replace(of="se", part="eca", kernel_size=5),
    ]
    edited, report = surgery.apply(drawn(Plain), edits, X)
    assert [site.name for site in report.sites] == ["act.se", "act.se.act", "act.se"]
    assert edited.act.se.conv.weight.shape == (1, 1, 5)
    assert report.parameters == 5


def test_a_host_keeps_its_other_arguments():
    model = Host()
    edits = [surgery.insert(after="scaled", part="relu"), surgery.insert(before="scaled", part="sigmoid")]
    edited, _ = surgery.apply(model, edits, X)
    assert torch.equal(edited(X), (X.sigmoid() * 2 + 1).relu())


def test_a_part_goes_where_the_network_is():
    model = drawn(Plain).double()
    edited, _ = surgery.apply(model, [FRELU], X.double())
    assert edited.act.window.weight.dtype == torch.float64


def test_examples_in_three_forms():
    model = drawn(Plain)
    for example in (X, (X,), {"x": X}):
        assert len(surgery.apply(model, [FRELU], example)[1].sites) == 1


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            surgery.replace(of="hardswish", part="frelu"),
            "'hardswish' matches nothing; activations in this network: SiLU",
        ),
        (surgery.replace(of="cbam", part="se"), "'cbam' matches nothing; attentions in this network: none"),
        (surgery.replace(of="SILU", part="frelu"), "did you mean 'SiLU'"),
        (surgery.replace(of="head.con", part="frelu"), "no module is called 'head.con'; did you mean 'head'"),
        (surgery.replace(of="silu", part="frelu", expect=3), "expected 3 sites, found 1: act; .* 'expect: 1'"),
        (surgery.replace(of="silu", part="frelu", within="norm"), "matches nothing within 'norm'"),
        (surgery.remove(of="conv"), r"conv \(Conv2d\) turns \(2, 3, 8, 8\) into \(2, 8, 8, 8\)"),
        (surgery.replace(of="conv", part="relu"), r"conv: relu turns \[\(2, 3, 8, 8\).* expected \(2, 8, 8, 8\)"),
    ],
)
def test_mistakes_in_an_edit_say_what_there_is(edit, words):
    with pytest.raises(SurgeryError, match=words):
        surgery.apply(drawn(Plain), [edit], X)


def test_unknown_parts_and_arguments_answer_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'frelu'"):
        surgery.apply(drawn(Plain), [surgery.replace(of="silu", part="frelo")], X)
    with pytest.raises(ConfigError, match=r"eca takes no 'kernel'.*did you mean 'kernel_size'"):
        surgery.apply(drawn(Plain), [surgery.insert(after="act", part="eca", kernel=3)], X)


def test_nested_sites_are_a_mistake(detector):
    with pytest.raises(SurgeryError, match=r"selects backbone.stem and, inside it, backbone.stem.conv"):
        surgery.apply(detector, [surgery.replace(of="backbone.**", part="relu")], SCENE)


def test_a_module_that_never_runs_is_a_mistake():
    with pytest.raises(SurgeryError, match=r"auxiliary \(ReLU\) is never called"):
        surgery.apply(Branch(), [surgery.replace(of="relu", part="silu")], X)


def test_a_tuple_is_no_place_to_insert_on():
    with pytest.raises(
        SurgeryError,
        match=r": a part works on one tensor, but stem gives tuple with 2 tensors; name the modules inside it",
    ):
        surgery.apply(Branch(), [surgery.insert(after="stem", part="se")], X)


def test_channels_on_the_last_axis_are_not_mistaken():
    """(B, N, C) and (B, H, W, C) maps: axis 1 would be read as channels, and would even fit on square examples."""
    model, tokens = drawn(Tokens), X.movedim(1, -1)
    with pytest.raises(SurgeryError, match="channels on the last axis"):
        surgery.apply(model, [surgery.replace(of="gelu", part="frelu")], tokens)
    edited, _ = surgery.apply(model, [surgery.replace(of="gelu", part="mish")], tokens)
    assert isinstance(edited.act, nn.Mish)


def test_an_example_that_does_not_fit_names_the_module():
    with pytest.raises(SurgeryError, match="fails on the example in conv: RuntimeError"):
        surgery.apply(drawn(Plain), [FRELU], X[:, :2])


def test_functional_calls_are_named_where_no_module_is_found():
    with pytest.raises(SurgeryError, match=r"called as a function.*Tensor.relu in the forward of the network itself"):
        surgery.apply(drawn(Functional), [surgery.replace(of="relu", part="frelu")], X)


def test_but_leaves_out_what_is_inside_its_globs(detector):
    everywhere, but = surgery.apply(detector, [FRELU], SCENE)[1], ["backbone.stem", "neck.**"]
    _, report = surgery.apply(detector, [surgery.replace(of="silu", part="frelu", but=but)], SCENE)
    outside = [s.name for s in everywhere.sites if not s.name.startswith(("backbone.stem.", "neck."))]
    assert [site.name for site in report.sites] == outside


@pytest.mark.parametrize(
    ("but", "words"),
    [
        (["nek.**"], r"'but: nek.\*\*' leaves nothing out of 57 modules"),
        (["backbone.stem", "head"], "'but: head' leaves nothing out"),
        (["**"], "'but' leaves out all of the 57 modules"),
    ],
)
def test_a_but_that_does_nothing_or_everything_is_a_mistake(detector, but, words):
    with pytest.raises(SurgeryError, match=words):
        surgery.apply(detector, [surgery.replace(of="silu", part="frelu", but=but)], SCENE)


def test_gains_are_those_of_the_whole_network(detector, operated):
    """Counted on the way, they equal torch's count of both networks."""
    model, report = operated
    assert report.flops == flops(model, SCENE) - flops(detector, SCENE)
    assert report.parameters == parameters(model) - parameters(detector)


def test_the_example_of_the_issue():
    model = torchvision.models.resnet18()
    edited, report = surgery.apply(
        model,  # untouched; edited is a copy
        [surgery.replace(of="relu", part="frelu"), surgery.insert(after="layer3", part="cbam")],
        example=torch.rand(2, 3, 224, 224),
    )
    assert len(report.sites) == 18
    assert report.sites[-1].name == "layer3.cbam"
    assert isinstance(model.relu, nn.ReLU)
    assert isinstance(edited.relu, FReLU)


def test_a_broken_edit_is_named_though_another_follows():
    """A part that the network reaches another way is found after the next edit was looked up."""
    with pytest.raises(SurgeryError, match=r"replace act by relu: what now stands at act is never called"):
        surgery.apply(Stubborn(), [surgery.replace(of="act", part="relu"), surgery.insert(after="conv", part="se")], X)


class Stubborn(nn.Module):
    """Calls what it held at first, whatever stands there now."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 1), nn.SiLU()
        self.first = [self.act]

    def forward(self, x):
        return self.first[0](self.conv(x))
