"""torch's encoder layer has a fused path for evaluation, which takes its modules' weights without calling them."""

import copy

import pytest
import torch
from networks import drawn
from torch import nn
from torch.nn import functional as F

from ablab import surgery
from ablab.errors import SurgeryError

X = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))


def encoder(activation):
    layer = drawn(nn.TransformerEncoderLayer, 16, 2, 32, activation=activation, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


EDITS = [
    surgery.replace(of="relu", part="sigmoid", expect=2),
    surgery.insert(after="layers.*.linear1", part="sigmoid"),
    surgery.insert(before="layers.*.norm1", part="sigmoid"),
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_a_part_acts_with_and_without_gradients(edit):
    model = encoder(nn.ReLU())
    edited, _ = surgery.apply(model, [edit], X)
    with torch.no_grad():
        fused, before = edited(X), model(X)
    torch.testing.assert_close(fused, edited(X))
    assert not torch.allclose(fused, before, atol=1e-3)


def test_the_model_keeps_its_fused_path():
    model = encoder(nn.ReLU())
    surgery.apply(copy.deepcopy(model), EDITS[:1], X)
    assert [layer.activation_relu_or_gelu for layer in model.layers] == [1, 1]


@pytest.mark.parametrize(("function", "name"), [(F.relu, "relu"), (F.gelu, "gelu")])
def test_a_function_given_as_activation_is_named(function, name):
    with pytest.raises(SurgeryError, match=f"F.{name} in layers.0, F.{name} in layers.1"):
        surgery.apply(encoder(function), [surgery.replace(of=name, part="sigmoid")], X)
