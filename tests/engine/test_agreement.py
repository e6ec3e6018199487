"""fp32, bf16 and fp16 agree, within the bounds that `Precision` states."""

from __future__ import annotations

import pytest
import torch
from curves import Steps, chosen, first_steps
from torch import nn

from ablab.engine.precision import Precision
from ablab.measure.seeding import forked
from ablab.streams import stream

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, NO_CARD])]
BOUNDS = {"bf16": (0.03, 0.5, 0.15), "fp16": (0.005, 0.06, 0.08)}  # first loss, first gradient, losses of 12 steps
SHALLOW = {"bf16": 0.01, "fp16": 0.002}  # the gradient of a shallow network, relative
reference: dict[tuple[str, str], Steps] = {}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("head", ["anchor", "anchor-free"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_detector_learns_alike(precision: str, head: str, device: str) -> None:
    if (head, device) not in reference:
        reference[head, device] = first_steps(chosen("fp32", device), head, 12)
    full, half = reference[head, device], first_steps(chosen(precision, device), head, 12)
    loss, gradient, curve = BOUNDS[precision]
    relative = (half.losses / full.losses - 1).abs()
    angle = 1 - torch.cosine_similarity(half.gradients[0], full.gradients[0], dim=0)
    said = f"loss {relative[0]:.1e}, gradient {angle:.1e}, curve {half.losses.mean() / full.losses.mean() - 1:+.1e}"
    assert relative[0] < loss, said
    assert angle < gradient, said
    assert abs(half.losses.mean() / full.losses.mean() - 1) < curve, said
    assert half.losses[-1] < 0.9 * half.losses[0]
    assert half.skipped <= (8 if precision == "fp16" else 0)  # the scale of 2^16 comes down to what fits
    assert not torch.equal(half.losses, full.losses)  # it was another arithmetic


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_shallow_networks_gradient(precision: str, device: str) -> None:
    full, half = (shallow(chosen(name, device)) for name in ("fp32", precision))
    error = float((half - full).norm() / full.norm())
    assert 0 < error < SHALLOW[precision], error


def shallow(precision: Precision) -> torch.Tensor:
    """The gradient of two convolutions around a norm, as the scaler hands it on.  -> (parameters,)"""
    with forked("shallow"):
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.SiLU(), nn.Conv2d(16, 8, 3), nn.Flatten(1, 3)
        )
    model = precision.place(model).train()
    images = stream("shallow").uniform(0, 1, (8, 3, 16, 16)).astype("float32")
    batch = precision.to_device({"images": torch.from_numpy(images)})
    made, scaler = torch.optim.SGD(model.parameters(), lr=0), precision.scaler()
    with precision.settled():
        with precision.autocast():
            loss = (model(batch["images"]).float() - 1).square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(made)
    return torch.cat([p.grad.float().flatten() for p in model.parameters()]).cpu()
