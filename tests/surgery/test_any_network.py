"""Sixty of the cases of benchmarks/surgery_networks.py: no network, and no activation, is missed in silence.

What surgery says is held against a count of the kernels that run, which shares no code with it.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import Functional, drawn
from torch.nn import functional as F

from ablab import surgery
from census import activations, kind_of
from surgery_networks import Case, attempt, cases, grouped, silent
from zoo import SMALL, ZOO

CHOSEN = SMALL[:20]
EACH = 60 // len(CHOSEN)


def chosen(name):
    """A network with some of its cases, of both kinds."""
    network = ZOO[name]
    model, example = network.model(), network.example()
    every = cases(network, model, example)
    swaps, inserts = ([case for case in every if bool(case.of) == kind] for kind in (True, False))
    rng = np.random.default_rng([0, SMALL.index(name)])
    picked = [swaps[i] for i in rng.permutation(len(swaps))[: EACH - 1]]
    return model, example, [*picked, inserts[rng.integers(len(inserts))]]


@pytest.mark.parametrize("name", CHOSEN)
def test_nothing_is_missed_in_silence(name):
    model, example, picked = chosen(name)
    assert len(picked) == EACH
    for group in grouped(picked):
        for outcome in attempt(model, example, group):
            assert outcome.missed == ()
            assert bool(outcome.sites) != bool(outcome.refused)


@pytest.mark.parametrize(
    ("name", "of", "sites", "unreached"),
    [
        ("torchvision resnet18", "relu", 17, 0),  # 8 blocks of one shared ReLU for two calls, and the stem
        ("torchvision densenet121", "relu", 120, 1),  # F.relu behind the last block
        ("torchvision mobilenet_v2", "relu6", 35, 0),
        ("timm convnext_atto", "gelu", 12, 0),  # timm's own class
        ("timm ghostnet_050", "relu", 42, 0),
    ],
)
def test_what_is_reached(name, of, sites, unreached):
    network = ZOO[name]
    (outcome,) = attempt(network.model(), network.example(), [Case(name, "softplus", of=of)])
    assert (outcome.sites, len(outcome.unreached), outcome.refused) == (sites, unreached, "")


def test_a_network_of_functions_is_refused_and_each_is_named():
    network = ZOO["torchvision googlenet"]
    (outcome,) = attempt(network.model(), network.example(), [Case(network.name, "silu", of="relu")])
    assert "F.relu in conv1, F.relu in conv2" in outcome.refused


def test_the_count_finds_what_a_report_leaves_out():
    x = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    model = drawn(Functional).eval()
    edited, report = surgery.apply(model, [surgery.replace(of="gelu", part="silu")], x)
    assert report.unreached == ("F.gelu in block.2",)
    assert silent(edited, x, "gelu", report) == ()
    assert silent(edited, x, "gelu", replace(report, unreached=())) == ("block.2",)
    assert activations(model, x) == {
        ("gelu", "block.1"): 1,
        ("gelu", "block.2"): 1,
        ("relu", "block.2"): 2,
        ("relu", ""): 1,
        ("sigmoid", ""): 1,
    }


def test_kernels_are_called_by_the_names_of_parts():
    aten, x = torch.ops.aten, torch.linspace(-3, 3, 7)
    assert kind_of(aten.hardtanh, (x, 0, 6)) == "relu6"
    assert kind_of(aten.hardtanh, (x, -1, 1)) == "hardtanh"
    assert kind_of(aten.mul, (x, x.sigmoid())) == kind_of(aten.mul, (x.sigmoid(), x)) == "silu"
    assert kind_of(aten.mul, (x, F.softplus(x).tanh())) == "mish"
    assert kind_of(aten.mul, (x, x)) == kind_of(aten.mul, (x, 2.0)) == ""
