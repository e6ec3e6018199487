import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18, vgg

from ablab.diagnose.network.receptive import receptive_fields
from ablab.errors import ConfigError, UnknownName
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel

X = torch.zeros(1, 3, 64, 64)
VGG16 = [2, 2, "M", 2, 2, "M", 2, 2, 2, "M", 2, 2, 2, "M", 2, 2, 2, "M"]


def sides(model, at=()):
    return [(f.width, f.height, f.whole) for f in receptive_fields(model, X, at)]


def test_vgg16_is_the_published_212():
    """google-research/receptive_field, RECEPTIVE_FIELD_TABLE.md: vgg_16, 212, effective stride 32."""
    (field,) = receptive_fields(vgg.make_layers(VGG16), X)
    assert (field.width, field.height, field.stride, field.whole) == (212, 212, 32, False)


def test_resnet18_by_hand():
    """7, pool 11, 4 convs of 8: 43; +8 +3*16: 99; +16 +3*32: 211; +32 +3*64: 435."""
    assert sides(resnet18(), ("layer1", "layer4")) == [(43, 43, False), (435, 435, False)]


def test_our_detector_by_hand():
    """Backbone 58, 170, 650 (SPPF adds 3*4*32); PAN adds a C3 of 16 and one of 32 down, then 16 + 32 and 32 + 64 up."""
    model = build_model(DetectionModel(size="n"), 3, np.ones((3, 3, 2)))
    assert sides(model, ("neck",)) == [(682, 682, False), (746, 746, False), (842, 842, False)]


def test_unlike_axes_dilation_groups_and_transposed():
    chain = nn.Sequential(nn.Conv2d(3, 6, (3, 1), padding=(1, 0)), nn.Conv2d(6, 6, 3, padding=4, dilation=4, groups=3))
    assert sides(chain) == [(9, 11, False)]
    # a transposed 4x4 of stride 2 after a 2x2 of stride 2: two cells of two pixels
    assert sides(nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.ConvTranspose2d(4, 4, 4, 2, 1))) == [(4, 4, False)]


def test_equal_to_the_support_of_the_gradient():
    """Positive weights and no activation: what autograd reaches is the field."""
    net = nn.Sequential(
        nn.Conv2d(3, 2, 3, 2, 1), nn.AvgPool2d(3, 1, 1), nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 5, 1, 2)
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(0.1)
    x = X.clone().requires_grad_()
    net(x)[0, 0, 32, 32].backward()
    held = x.grad[0, 0] > 0
    assert sides(net) == [(int(held.any(0).sum()), int(held.any(1).sum()), False)]


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        return y * y.mean((2, 3), keepdim=True).sigmoid()


def test_a_mean_over_the_map_sees_everything():
    ((width, _, whole),) = sides(Squeezed())
    assert whole
    assert width > 1000


def test_dead_weights_count_since_the_field_is_the_graphs():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    nn.init.zeros_(net[0].weight)
    assert sides(net) == [(4, 4, False)]


@pytest.mark.parametrize(
    "act", [nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.Mish, nn.ELU, nn.PReLU, nn.Hardtanh]
)
def test_activations_pass_it_on(act):
    assert sides(nn.Sequential(nn.Conv2d(3, 2, 3), act())) == [(3, 3, False)]


def test_mistakes():
    with pytest.raises(UnknownName, match="unknown module '1'"):
        receptive_fields(nn.Sequential(nn.Conv2d(3, 2, 3)), X, ("1",))
    with pytest.raises(ConfigError, match="gives no map"):
        receptive_fields(resnet18(), X)
    with pytest.raises(ConfigError, match="one image"):
        receptive_fields(nn.Conv2d(3, 2, 3), X[0])
