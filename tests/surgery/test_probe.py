import torch
from networks import Functional, Loop, Plain, Tokens, drawn
from torch import nn

from ablab.measure.forward import tensors
from ablab.surgery.audit import FUNCTIONS
from ablab.surgery.probe import probe
from ablab.surgery.structure import first_shape, outline, with_tensors

X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def test_every_call_is_noted_with_its_shapes_and_its_owner():
    model = drawn(Loop, nn.ReLU())
    seen = probe(model, X, watch=[model.act])
    calls = seen.calls[id(model.act)]
    assert [call.input_shape for call in calls] == [(2, 4, 6, 6), (2, 6, 6, 6), (2, 8, 6, 6)]
    assert {call.owner for call in calls} == {model}
    assert len({call.turn for call in calls}) == 1
    assert torch.equal(calls[0].args[0], model.layers[0](X))
    assert torch.equal(calls[2].output, seen.output)
    assert seen.calls[id(model.layers[0])][0].output is None
    assert id(model.layers) not in seen.calls


def test_an_input_is_kept_as_it_was_before_a_write_in_place():
    model = drawn(Loop, nn.ReLU(inplace=True))
    (first, *_) = probe(model, X, watch=[model.act]).calls[id(model.act)]
    assert first.args[0].min() < 0
    assert first.output.min() == 0


def test_the_probe_leaves_no_hook_and_no_draw():
    model = drawn(Plain).train()
    generator, mean = torch.get_rng_state(), model.norm.running_mean.clone()
    probe(model, X)
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(model.norm.running_mean, mean)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(m.training for m in model.modules())


def test_functional_activations_are_told_from_modules():
    calls = [str(call) for call in probe(drawn(Functional), X).functional]
    assert calls == [
        "F.gelu in block.2",
        "torch.relu in block.2",
        "F.relu in block.2",
        "Tensor.relu in the forward of the network itself",
        "Tensor.sigmoid_ in the forward of the network itself",
    ]


def test_the_audit_knows_the_usual_spellings():
    for function in (torch.relu, torch.relu_, torch.Tensor.relu_, nn.functional.silu, torch.tanh, nn.functional.gelu):
        assert function in FUNCTIONS


def test_maps_from_linear_layers_are_marked():
    model = drawn(Tokens)
    seen = probe(model, X.movedim(1, -1))
    assert [seen.calls[id(m)][0].input_channels_last for m in (model.grow, model.act, model.shrink)] == [
        False,
        True,
        True,
    ]
    assert [seen.calls[id(m)][0].output_channels_last for m in (model.grow, model.act)] == [True, True]


def test_structure_of_nested_outputs():
    value = {"boxes": [torch.zeros(3, 4)], "n": (torch.zeros(2, dtype=torch.int64), "x")}
    assert outline(value) == "{boxes: [(3, 4) float32], n: [(2) int64, str]}"
    assert outline(value, skip=1) == "{boxes: [(*, 4) float32], n: [(*) int64, str]}"
    assert first_shape(value) == (3, 4)
    assert first_shape("none") == ()
    assert [tuple(t.shape) for t in tensors(with_tensors(value, lambda t: t[None]))] == [(1, 3, 4), (1, 2)]
    assert isinstance(with_tensors(torch.zeros(3, 2).max(dim=0), torch.clone), tuple)
