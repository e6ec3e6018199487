"""One module called in several places: torchvision's residual blocks hold one ReLU for two or three calls."""

import copy
import threading

import pytest
import torch
import torchvision
from networks import Loop, SharedHead, Twins, drawn
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError
from ablab.surgery.graft import PerCall

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
FRELU = surgery.replace(of="relu", part="frelu")


@pytest.fixture(scope="module")
def resnet():
    return drawn(torchvision.models.resnet18, num_classes=3)


@pytest.fixture(scope="module")
def funnelled(resnet):
    return surgery.apply(resnet, [surgery.replace(of="relu", part="frelu", expect=17)], IMAGE)


def test_a_relu_for_each_call_gives_what_one_relu_gave(resnet):
    edited, report = surgery.apply(resnet, [surgery.replace(of="relu", part="relu")], IMAGE)
    assert len(report.sites) == 17
    assert report.parameters == 0
    for _ in range(2):
        assert torch.equal(edited.eval()(IMAGE), copy.deepcopy(resnet).eval()(IMAGE))


def test_a_bottleneck_has_three_calls_of_two_widths():
    model = drawn(torchvision.models.resnet50, num_classes=3)
    edited, report = surgery.apply(
        model, [surgery.replace(of="relu", part="frelu", within="layer1")], IMAGE[:, :, ::2, ::2]
    )
    assert [site.output_shape[1] for site in report.sites] == [64, 64, 256] * 3
    assert [site.name for site in report.sites[:4]] == [*(f"layer1.0.relu.{n}" for n in range(3)), "layer1.1.relu.0"]
    assert report.parameters == 11 * sum([64, 64, 256] * 3)
    assert type(edited.layer2[0].relu) is nn.ReLU


def test_each_call_has_a_part_of_its_own(funnelled):
    model, report = funnelled
    windows = {name: p for name, p in model.named_parameters() if "window" in name}
    assert set(windows) == {f"{site.name}.window.weight" for site in report.sites}
    assert len({id(p) for p in windows.values()}) == 17


def test_it_runs_again_and_again_and_trains(funnelled):
    model = copy.deepcopy(funnelled[0])
    first, second = model.eval()(IMAGE), model(IMAGE)
    assert torch.equal(first, second)
    model.train()(IMAGE).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_copy_counts_for_itself(funnelled):
    model, twin = funnelled[0].eval(), copy.deepcopy(funnelled[0]).eval()
    expected = model(IMAGE)
    with pytest.raises(RuntimeError):
        twin.layer1[0](IMAGE)  # 3 channels where 64 are wanted
    assert torch.equal(twin(IMAGE), expected)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(IMAGE), expected)


def test_a_forward_that_stops_in_the_middle_does_not_shift_the_next():
    model, _ = surgery.apply(drawn(Loop, nn.ReLU()), [FRELU], X)
    expected = model.eval()(X)
    with pytest.raises(RuntimeError, match="in the middle"):
        model(X, stop_early=True)
    assert torch.equal(model(X), expected)


def test_threads_count_each_for_itself():
    model, _ = surgery.apply(drawn(Loop, nn.ReLU()), [FRELU], X)
    expected = model.eval()(X)
    results = []
    barrier = threading.Barrier(2)

    def in_step(module, args):
        barrier.wait(10)

    model.act.register_forward_pre_hook(in_step)
    threads = [threading.Thread(target=lambda: results.append(model(X))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == 2
    assert all(torch.equal(result, expected) for result in results)


def test_one_call_too_many_is_an_error():
    model, _ = surgery.apply(drawn(Loop, nn.ReLU()), [FRELU], X)
    model.layers.append(nn.Conv2d(8, 8, 1))
    with pytest.raises(SurgeryError, match="split into 3 parts, one a call, is called once more"):
        model(X)


def test_an_insert_behind_a_shared_module_is_split_too():
    model = drawn(Loop, nn.ReLU()).eval()
    edited, report = surgery.apply(model, [surgery.insert(after="act", part="sigmoid")], X)
    assert [site.name for site in report.sites] == ["act.0.sigmoid", "act.1.sigmoid", "act.2.sigmoid"]
    expected = X
    for layer in model.layers:
        expected = layer(expected).relu().sigmoid()
    assert torch.equal(edited(X), expected)


def test_a_split_module_can_be_operated_on_again():
    model = drawn(Loop, nn.ReLU())
    edits = [
        FRELU,
        surgery.replace(of="frelu", part="mish", expect=3),
        surgery.replace(of="act", part="silu", expect=3),
    ]
    edited, _ = surgery.apply(model, edits, X)
    assert isinstance(edited.act, PerCall)
    assert [type(part) for part in edited.act] == [nn.SiLU] * 3
    for _ in range(2):
        expected = X
        for layer in model.layers:
            expected = nn.functional.silu(layer(expected))
        assert torch.equal(edited(X), expected)


def test_a_shared_module_is_removed_as_one():
    model = drawn(Loop, nn.ReLU())
    edited, report = surgery.apply(model, [surgery.remove(of="relu")], X)
    assert type(edited.act) is nn.Identity
    assert len(report.sites) == 3
    assert torch.equal(edited(X), model.layers[2](model.layers[1](model.layers[0](X))))


def test_blocks_that_hold_the_same_relu_get_one_each():
    act = nn.ReLU()
    edited, report = surgery.apply(drawn(Twins, act), [FRELU], X)
    assert [(site.name, site.output_shape[1]) for site in report.sites] == [("left.1", 4), ("right.1", 6)]
    assert edited.left[1] is not edited.right[1]
    half, report = surgery.apply(drawn(Twins, act), [surgery.replace(of="relu", part="frelu", within="left")], X)
    assert type(half.right[1]) is nn.ReLU
    assert len(report.sites) == 1


def test_a_head_that_is_shared_on_purpose_keeps_one_part():
    model = drawn(SharedHead)
    edited, _ = surgery.apply(model, [surgery.replace(of="relu", part="frelu", expect=1)], X)
    assert [type(m).__name__ for m in edited.head] == ["Conv2d", "FReLU", "Conv2d"]
    assert [y.shape for y in edited(X)] == [y.shape for y in model(X)]


class Dropping(Loop):
    """Leaves the first layer's activation out in training, as networks that drop layers do."""

    def forward(self, x):
        for n, layer in enumerate(self.layers):
            x = layer(x) if self.training and n == 0 else self.act(layer(x))
        return x


def test_a_forward_that_leaves_out_a_call_mixes_no_parts_up():
    model, _ = surgery.apply(drawn(Dropping, nn.ReLU()), [surgery.replace(of="relu", part="swish")], X)
    model.eval()(X)
    with pytest.raises(SurgeryError, match="split into 3 parts, one a call, was called 2 times: Dropping's forward"):
        model.train()(X)
    model.eval()(X)


def test_parts_that_are_all_alike_may_be_left_out():
    model, _ = surgery.apply(drawn(Dropping, nn.ReLU()), [surgery.replace(of="relu", part="silu")], X)
    assert model.train()(X).shape == model.eval()(X).shape
