import math

import pytest
import torch
from timm.layers import create_attn
from timm.utils.model import reparameterize_model
from torch import nn

from ablab import registry, testing
from ablab.errors import ConfigError, UnknownName
from ablab.parts.attention import CBAM, ECA, GC, SAM, SE, CoordinateAttention, NonLocal, Placebo, SelfAttention

CHECKS = [check for name in registry.names("attention") for check in testing.checks("attention", name)]
GATES = [SE, CBAM, ECA, CoordinateAttention, SAM]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_attention_keeps_the_contract(check):
    check()


def test_every_attention_has_a_source_but_the_placebo():
    assert registry.names("attention") == ["ca", "cbam", "eca", "gc", "nl", "placebo", "sam", "se", "self"]
    sourceless = [name for name in registry.names("attention") if not registry.get(name, "attention").paper]
    assert sourceless == ["placebo"]


def size(module):
    return sum(p.numel() for p in module.parameters())


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_sizes_by_hand():
    c = 64
    assert size(SE(c)) == 2 * c * 4 + 4 + c  # two convolutions with bias, C -> C / 16 -> C
    assert size(CBAM(c)) == 2 * c * 4 + 2 * 7 * 7 + 2  # without bias, then 7x7 (2 -> 1) and its norm
    assert size(CBAM(c, kernel_size=3)) == 2 * c * 4 + 2 * 3 * 3 + 2
    assert size(CoordinateAttention(c)) == 3 * c * 8 + 2 * 8  # never below 8 channels; one norm
    assert size(CoordinateAttention(c, reduction=4)) == 3 * c * 16 + 2 * 16
    assert size(SAM(c)) == c * (c + 1)
    assert size(NonLocal(c)) == 4 * c * 32 + 32 + 2 * c  # four convolutions, the one bias that can learn, and the norm
    assert size(GC(c)) == c + (c * 4 + 4) + 2 * 4 + (4 * c + c)  # softmax, two convolutions with bias, layer norm
    assert size(SelfAttention(c)) == 4 * c * c + 4 * c


@pytest.mark.parametrize("part", GATES)
def test_adding_is_x_more_than_multiplying(part):
    """add: x + x * a(x); multiply: x * a(x), which is timm's own."""
    multiply, add = part(32), part(32, fuse="add")
    add.load_state_dict(multiply.state_dict())
    x = noise(2, 32, 5, 3)
    assert torch.equal(add.eval()(x), x + multiply.eval()(x))


@pytest.mark.parametrize("part", GATES)
def test_a_gate_dims_and_what_is_added_brightens(part):
    x = noise(2, 32, 5, 3)
    dimmed, brightened = part(32).eval()(x).abs(), part(32, fuse="add").eval()(x).abs()
    assert (dimmed <= x.abs()).all()
    assert (brightened >= x.abs()).all()
    assert (brightened <= 2 * x.abs()).all()


@pytest.mark.parametrize("part", [*GATES, GC])
def test_an_unknown_way_to_fuse_is_refused_with_the_nearest(part):
    with pytest.raises(UnknownName, match="did you mean 'multiply'"):
        part(16, fuse="multipy")


TIMM = [
    (SE(32), create_attn("se", 32, rd_channels=2)),
    (CBAM(32), create_attn("cbam", 32, rd_channels=2)),
    (ECA(32), create_attn("eca", 32)),
    (CoordinateAttention(32), create_attn("coord", 32, rd_channels=8)),
    (NonLocal(32), create_attn("nl", 32, rd_channels=16)),
    (GC(32), create_attn("gca", 32, rd_channels=2)),
    (GC(32, fuse="multiply"), create_attn("gc", 32, rd_channels=2)),
]


@pytest.mark.parametrize(("ours", "timms"), TIMM, ids=[f"{type(a).__name__}-{i}" for i, (a, _) in enumerate(TIMM)])
def test_equal_to_timms_create_attn(ours, timms):
    """In training, where batch norm is at work too: the biases that are not there change nothing but rounding."""
    for parameter in ours.parameters():
        parameter.data = 0.3 * noise(*parameter.shape)
    missing = timms.load_state_dict(ours.state_dict(), strict=False).missing_keys
    for name in missing:  # a bias that softmax or norm cancels may be anything
        timms.get_parameter(name).data.fill_(0.7)
    x = noise(2, 32, 5, 7)
    assert torch.allclose(ours(x), timms(x), atol=1e-5)
    assert len(missing) == {NonLocal: 3, GC: 1}.get(type(ours), 0)


@pytest.mark.parametrize("channels", [16, 64, 256, 1024])
def test_ecas_kernel_follows_the_papers_equation(channels):
    """The odd number at or above |log2(C) / 2 + 1 / 2|, cut to a whole number; never below 3 (timm's floor)."""
    t = int(abs(math.log2(channels) + 1) / 2)
    assert ECA(channels).conv.kernel_size == (max(t + (t % 2 == 0), 3),)


def test_eca_by_hand():
    """A kernel (0, 1, 0) makes the gate of a channel the sigmoid of its own mean."""
    part = ECA(4, kernel_size=3)
    part.conv.weight.data = torch.tensor([[[0.0, 1, 0]]])
    x = torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 3, 5)
    assert torch.allclose(part(x), x * x.sigmoid())


def test_se_with_zero_weights_halves():
    part = SE(32)
    for parameter in part.parameters():
        nn.init.zeros_(parameter)
    x = noise(2, 32, 3, 5)
    assert torch.equal(part(x), x / 2)


def test_coordinate_attention_knows_rows_and_columns():
    """A bright row changes the gates of other places in that row more than SE, which sees the mean alone, could."""
    part = CoordinateAttention(16).eval()
    x = torch.ones(1, 16, 6, 6)
    x[:, :, 2] = 5
    gates = part(x) / x
    assert not torch.allclose(gates[:, :, 2], gates[:, :, 3])
    assert torch.allclose(gates[:, :, 0], gates[:, :, 5])


def test_sam_with_the_identity_for_a_convolution_is_silu():
    part = SAM(6)
    nn.init.dirac_(part.conv.weight)
    nn.init.zeros_(part.conv.bias)
    x = noise(2, 6, 3, 5)
    assert torch.allclose(part(x), nn.functional.silu(x))


def test_the_non_local_block_starts_as_the_identity():
    x = noise(2, 32, 3, 5)
    assert torch.equal(NonLocal(32)(x), x)


def test_gc_without_a_preference_adds_the_same_to_every_place():
    """An even softmax is the plain mean, and what is added has no place."""
    part = GC(32)
    nn.init.zeros_(part.conv_attn.weight)
    nn.init.ones_(part.mlp_add.fc2.weight)
    x = noise(2, 32, 3, 5)
    added = part(x) - x
    assert torch.allclose(added, part.mlp_add(x.mean((2, 3), keepdim=True)).expand_as(x), atol=1e-5)


def test_self_attention_by_hand():
    """One head, softmax over places of q k / sqrt(C), by plain products."""
    part, x = SelfAttention(8, heads=1), noise(2, 8, 3, 2)
    places = x.flatten(2).mT  # (2, 6, 8)
    q, k, v = nn.functional.linear(places, part.attend.in_proj_weight, part.attend.in_proj_bias).chunk(3, dim=2)
    seen = part.attend.out_proj((q @ k.mT / math.sqrt(8)).softmax(dim=2) @ v)
    assert torch.allclose(part(x), x + seen.mT.reshape(x.shape), atol=1e-6)


def test_self_attention_knows_no_positions():
    part, x = SelfAttention(16).eval(), noise(1, 16, 4, 4)
    assert torch.allclose(part(x.flip(2, 3)), part(x).flip(2, 3), atol=1e-6)


@pytest.mark.parametrize(("heads", "near"), [(5, 4), (0, 1), (-1, 1), (100, 12)])
def test_heads_that_do_not_divide_the_channels_are_refused_with_the_nearest(heads, near):
    with pytest.raises(ConfigError, match=f"must divide the 12 channels, got {heads}; the nearest is {near}"):
        SelfAttention(12, heads=heads)


@pytest.mark.parametrize("part", [ECA, CBAM])
def test_an_even_kernel_is_refused_with_the_nearest_odd_ones(part):
    with pytest.raises(ConfigError, match="must be odd and positive, got 4; take 3 or 5"):
        part(16, kernel_size=4)


@pytest.mark.parametrize("part", [SE, CBAM, CoordinateAttention, NonLocal, GC])
def test_few_channels_still_have_a_middle(part):
    assert part(3).eval()(torch.ones(1, 3, 2, 2)).shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ("like", "args"), [("cbam", {}), ("se", {"reduction": 4}), ("eca", {}), ("self", {}), ("activation/frelu", {})]
)
@pytest.mark.parametrize("channels", [3, 12, 64])
def test_a_placebo_has_the_parameters_of_its_part_and_starts_as_the_identity(like, args, channels):
    args = args | ({"heads": 1} if like == "self" else {})
    part, x = Placebo(channels, like, args), noise(2, channels, 3, 5)
    assert size(part) == size(registry.make(like, None, channels=channels, **args))
    assert torch.equal(part(x), x)


def test_a_placebo_scales_channels_and_never_sees_the_map():
    part = Placebo(4, "eca")  # three parameters, for four channels
    part.weight.data = torch.tensor([1.0, 2, 3])
    scale = torch.tensor([2.0, 3, 4, 1]).view(1, 4, 1, 1)
    for x in (noise(2, 4, 3, 5), 100 * torch.ones(1, 4, 1, 1)):
        assert torch.equal(part(x), x * scale)


def test_a_placebo_for_nothing_is_nothing():
    x = noise(1, 8, 2, 2)
    assert size(Placebo(8, "silu")) == 0
    assert torch.equal(Placebo(8, "silu")(x), x)


def test_a_placebo_for_an_unknown_part_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'cbam'"):
        Placebo(8, "cbma")
    with pytest.raises(ConfigError, match="takes no 'reducton'; did you mean 'reduction'"):
        Placebo(8, "cbam", {"reducton": 4})


def test_timm_finds_no_convolution_to_fuse_in_an_attention():
    """timm calls `fuse()` on every module that has one."""
    net = nn.ModuleDict({name: registry.make(name, "attention", channels=16) for name in ("se", "cbam", "eca", "ca")})
    reparameterize_model(net)
