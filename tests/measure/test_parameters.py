import torchvision
from torch import nn

from ablab.measure import parameters


def test_resnet18_has_the_published_number():
    # torchvision's table of models
    assert parameters(torchvision.models.resnet18()) == 11_689_512


def test_a_shared_parameter_counts_once_and_buffers_do_not_count():
    one = nn.Linear(3, 4)
    assert parameters(nn.Sequential(one, nn.BatchNorm1d(4), one)) == 3 * 4 + 4 + 2 * 4
