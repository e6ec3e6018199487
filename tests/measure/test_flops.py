import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ablab.measure import flops
from ablab.measure.forward import forward, still


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution_by_hand(groups):
    conv = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=groups)
    example = torch.zeros(2, 4, 10, 12)  # -> (2, 8, 5, 6)
    assert flops(conv, example) == 2 * (2 * 8 * 5 * 6) * (4 // groups * 3 * 3)


def test_a_linear_layer_by_hand():
    assert flops(nn.Linear(7, 5), torch.zeros(3, 7)) == 2 * 3 * 7 * 5


def test_attention_by_hand():
    """Four projections of (L, E) x (E, E), then the scores and their use, each L * L * E multiply-adds."""
    batch, length, width = 2, 6, 8
    x = torch.zeros(batch, length, width)
    attention = nn.MultiheadAttention(width, 2, batch_first=True)
    counted = flops(attention, {"query": x, "key": x, "value": x, "need_weights": False})
    assert counted == 2 * batch * (4 * length * width**2 + 2 * length**2 * width)


def test_activations_norms_and_pools_are_free():
    assert flops(nn.Sequential(nn.BatchNorm2d(3), nn.SiLU(), nn.MaxPool2d(2)), torch.zeros(1, 3, 8, 8)) == 0


def test_measuring_leaves_no_trace():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    flops(model, torch.rand(2, 3, 8, 8))
    assert [module.training for module in model] == [True, False, True]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x, scale=1):
        self.seen += 1
        return x * scale


class Rebinding(Counter):
    def forward(self, x):
        self.seen = self.seen + 1
        return x


@pytest.mark.parametrize("kind", [Counter, Rebinding])
def test_buffers_that_a_forward_writes_are_put_back(kind):
    model = kind()
    buffer = model.seen
    with still(model):
        model(torch.zeros(1))
        assert float(model.seen) == 1
    assert model.seen is buffer
    assert float(buffer) == 0


def test_an_example_is_one_argument_several_or_named_ones():
    model = Counter()
    assert forward(model, torch.tensor(2.0)) == 2
    assert forward(model, (torch.tensor(2.0), 3)) == 6
    assert forward(model, {"x": torch.tensor(2.0), "scale": 5}) == 10


class Token(nn.Module):
    """Gives a block a view of a parameter, as vision transformers do with their class token."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.block = nn.Linear(4, 2)

    def forward(self, x):
        return self.block(self.token.expand(len(x), -1))


def test_a_view_of_a_parameter_goes_into_a_module():
    assert flops(Token(), torch.zeros(3, 4)) == 2 * 3 * 4 * 2


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "vit_b_16", "swin_t"])
def test_the_count_is_torchs_own(name):
    """Torch's FlopCounterMode on the plain kernels of attention."""
    model = torchvision.models.get_model(name, weights=None, **({"image_size": 32} if name == "vit_b_16" else {}))
    image = torch.rand(1, 3, 32, 32)
    theirs = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), theirs:
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            model.eval()(image)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    assert flops(model, image) == theirs.get_total_flops() > 0


def test_an_example_made_for_inference_counts_alike():
    with torch.inference_mode():
        x = torch.rand(2, 4)
        assert flops(nn.Linear(4, 5), x) == 2 * 2 * 4 * 5
