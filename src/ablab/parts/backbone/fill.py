"""Weights from a local file into a backbone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from ablab import weights
from ablab.errors import ConfigError


def fill(net: nn.Module, known: Collection[str], path: str, what: str) -> None:
    """Put a file's tensors into `net`, in place: every tensor of the network must be there.

    `known` are the names of the whole network: what is left over may belong to its classifier and to nothing else. A
    library may write a dot of its names as `_` once it takes a network apart (timm does).

    Raises ConfigError naming what the file lacks, what is unknown, has another shape, or is not finite.
    """
    found = weights.read(Path(path)).tensors
    flat = {name.replace(".", "_"): tensor for name, tensor in found.items()}
    own = {name: tensor for name, tensor in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    pairs = {name: flat.get(name.removeprefix("model.").replace(".", "_")) for name in own}
    wrong = [
        weights.some("not in the file", [name for name, tensor in pairs.items() if tensor is None]),
        weights.some(f"unknown to {what}", [name for name in found if name not in known]),
        weights.some(
            "of another shape",
            [
                f"{name} {tuple(tensor.shape)}, expected {tuple(own[name].shape)}"
                for name, tensor in pairs.items()
                if tensor is not None and tensor.shape != own[name].shape
            ],
        ),
    ]
    if any(wrong):
        raise ConfigError(
            f"the backbone: {path} does not hold {what}: {'; '.join(filter(None, wrong))}; name the network that the "
            "file was made with"
        )
    weights.refuse_nan({name: tensor for name, tensor in pairs.items() if tensor is not None}, path)
    with torch.no_grad():
        for name, tensor in pairs.items():
            if tensor is not None:
                own[name].copy_(tensor)
