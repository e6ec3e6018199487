"""The slot `activation`: any shape kept.  (*) -> (*)

Torch's own classes are registered as they are, so that `of: silu` finds every `nn.SiLU` of any network.

The study that started this laboratory (`systems.md`) compared x * hardsigmoid(x) with x * hardtanh(x + 3, 0, 6) / 6 as
two activations. They are one function, `hardswish`, and round to the same bits (a test holds them together), so that
the 0.4 points of mAP between its two arms are what one run differs from another.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ablab.parts.activation.dy_shift_max import DYShiftMax
from ablab.parts.activation.frelu import FReLU
from ablab.parts.activation.maxout import Maxout
from ablab.parts.activation.slope import carry_slope
from ablab.parts.activation.swish import Swish
from ablab.registry import register

__all__ = ["DYShiftMax", "FReLU", "Maxout", "Swish"]

_TORCH: tuple[tuple[str, type[nn.Module], str, str], ...] = (
    (
        "relu",
        nn.ReLU,
        "https://proceedings.mlr.press/v15/glorot11a.html",
        "max(x, 0). A unit that is negative for every sample gets no gradient any more: it is dead.",
    ),
    (
        "relu6",
        nn.ReLU6,
        "https://arxiv.org/abs/1704.04861",
        "min(max(x, 0), 6). Bounded for low precision; no gradient above 6 as well as below 0.",
    ),
    (
        "leaky-relu",
        nn.LeakyReLU,
        "https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf",
        "max(x, slope * x), slope 0.01. No unit dies, but a hundredth of a gradient is little.",
    ),
    (
        "elu",
        nn.ELU,
        "https://arxiv.org/abs/1511.07289",
        "x above 0, alpha * (exp(x) - 1) below. Safe far out (exp of negatives only); smooth at 0 with alpha 1 alone.",
    ),
    (
        "silu",
        nn.SiLU,
        "https://arxiv.org/abs/1702.03118",
        "x * sigmoid(x). Not monotonic, though often called so: its slope is negative below -1.2785, least -0.0998 at "
        "-2.3994.",
    ),
    (
        "hardswish",
        nn.Hardswish,
        "https://arxiv.org/abs/1905.02244",
        "x * min(max(x + 3, 0), 6) / 6. Not smooth: its slope jumps from 0 to -0.5 at -3, below which a unit is dead, "
        "and from 1.5 to 1 at 3.",
    ),
    (
        "hardsigmoid",
        nn.Hardsigmoid,
        "https://arxiv.org/abs/1905.02244",
        "min(max(x + 3, 0), 6) / 6. Exactly flat beyond +-3; Keras' was another one, x / 5 + 1 / 2 between +-2.5.",
    ),
    # Its output is never negative: what a study takes as the change that surely hurts.
    (
        "sigmoid",
        nn.Sigmoid,
        "https://doi.org/10.1038/323533a0",
        "1 / (1 + exp(-x)). Saturates: its slope is 0.25 at most, so that depth makes gradients vanish.",
    ),
    (
        "tanh",
        nn.Tanh,
        "https://doi.org/10.1007/3-540-49430-8_3",
        "tanh(x). Centred at 0, with slope 1 there, but it saturates as the sigmoid does.",
    ),
    (
        "softsign",
        nn.Softsign,
        "https://proceedings.mlr.press/v9/glorot10a.html",
        "x / (1 + |x|). Saturates like 1 / x^2 where tanh does like exp(-2x): more gradient far out, less of it near.",
    ),
    (
        "mish",
        nn.Mish,
        "https://arxiv.org/abs/1908.08681",
        "x * tanh(softplus(x)). Not monotonic: least slope -0.1125 at -2.2564. An exp, a log and a tanh a number: it "
        "costs more than SiLU, which it resembles.",
    ),
)
for _name, _kind, _paper, _note in _TORCH:
    register("activation", _name, paper=_paper, note=_note)(_kind)

_MORE: dict[str, Any] = {
    "note": "x * Phi(x), Phi the normal distribution; `approximate: tanh` is off by 0.0005 at most. Not monotonic: "
    "least slope -0.1289 at -1.4142.",
    "alternatives": {"approximate": ["tanh"]},
}
register("activation", "gelu", paper="https://arxiv.org/abs/1606.08415", **_MORE)(nn.GELU)
register(
    "activation",
    "softplus",
    paper="https://proceedings.mlr.press/v15/glorot11a.html",
    note="log(1 + exp(beta * x)) / beta; linear once beta * x > threshold. Always positive, log(2) at 0: not centred, "
    "and never exactly 0, as a sparse code would be.",
    alternatives={"threshold": [0.5]},
)(nn.Softplus)
register(
    "activation",
    "prelu",
    paper="https://arxiv.org/abs/1502.01852",
    note="max(x, 0) + a * min(x, 0), with one slope `a` a channel, learnt from `init`. Let `a` not decay: that pulls "
    "it to ReLU. `convert` keeps the function of a ReLU or LeakyReLU.",
    host={"num_parameters": "channels"},
    carry=carry_slope,
)(nn.PReLU)
