"""What convolutions promise: the output shape is nn.Conv2d's.  (B, in, H, W) -> (B, out, H', W')"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError, ContractError
from ablab.surgery.specimen import CHANNELS, FACTS, Specimen, draw

SIZES = ((7, 5), (8, 8), (13, 10))
# The sites that networks consist of; a part that serves only some strides declares the trait `strides`.
USUAL: tuple[dict[str, Any], ...] = (
    {},
    {"stride": 2},
    {"in_channels": 32},
    {"out_channels": 2 * CHANNELS, "stride": 2, "bias": True},
)
# Sites that a part may refuse, with a ConfigError.
OTHERS: tuple[dict[str, Any], ...] = (
    {"kernel_size": 1, "padding": 0},
    {"kernel_size": 1, "padding": 0, "stride": 2},
    {"padding": 0},
    {"padding": 2},
    {"padding": "same"},
    {"padding": 2, "dilation": 2},
    {"kernel_size": (5, 5), "padding": (2, 2), "stride": (2, 1)},
    {"kernel_size": 2, "padding": 0, "stride": 2},
    {"kernel_size": 4, "stride": 2},
    {"kernel_size": 6, "padding": 2, "stride": 2},
    {"kernel_size": 7, "padding": 3, "stride": 4},
    {"kernel_size": (1, 5), "padding": (0, 2)},
    {"groups": 4},
    {"groups": CHANNELS, "stride": 2},
    {"in_channels": 3, "out_channels": 16, "stride": 2},
)


def shape_is_a_convolutions(part: Specimen) -> None:
    """Output shape of nn.Conv2d, over kernels, strides, paddings, dilations, groups and odd sizes."""
    strides = part.entry.traits.get("strides", (1, 2))
    for site in (*USUAL, *OTHERS):
        try:
            module = part.build(**site)
        except ConfigError as error:
            if site in USUAL and site.get("stride", 1) in strides:
                raise ContractError(
                    f"it refuses {_told(site)}, a site that networks consist of ({error}); serve it, or register with "
                    f"strides=[...] where it serves some strides only"
                ) from None
            continue
        except Exception as error:
            raise ContractError(
                f"for {_told(site)} it fails with {type(error).__name__}: {error}; serve it, or raise a ConfigError "
                f"that says what it wants"
            ) from error
        for training in (True, False):
            for size in SIZES:
                _same_shape(module.train(training), site, size)


def fused_form_gives_the_same(part: Specimen) -> None:
    """A part with a `fuse()` gives in evaluation mode what the convolution gives that it returns."""
    if not callable(getattr(part.build(), "fuse", None)):
        return
    for site in ({}, {"stride": 2, "out_channels": 2 * CHANNELS}):
        module = _lived(part.build(**site))
        x = draw(2, CHANNELS, 7, 5, dtype=torch.float64)
        with torch.no_grad():
            fused = module.fuse()
            expected, got = module(x), fused(x)
        if type(fused) is not nn.Conv2d or not torch.allclose(expected, got, rtol=1e-9, atol=1e-9):
            raise ContractError(
                f"for {_told(site)} its fuse() gives a {type(fused).__name__} that is off by "
                f"{float((expected - got).abs().max()):.2g}; fold each batch norm's running statistics into the weight"
            )


def _lived(module: Any) -> Any:
    """The module in double precision with the statistics and affine weights of one that was trained a little."""
    module.double().train()
    for salt in range(2):
        module(2 * draw(4, CHANNELS, 7, 5, dtype=torch.float64, salt=salt) + 1)
    for salt, parameter in enumerate(module.parameters()):
        if parameter.dim() == 1:
            parameter.data += 0.3 * draw(*parameter.shape, dtype=torch.float64, salt=salt)
    return module.eval()


def _same_shape(module: nn.Module, site: Mapping[str, Any], size: tuple[int, int]) -> None:
    facts = {name: fact for name, fact in (FACTS | dict(site)).items() if name != "channels"}
    x = draw(2, facts["in_channels"], *size)
    try:
        expected = nn.Conv2d(**facts, device="meta")(x.to("meta")).shape
    except RuntimeError:  # no convolution has a place on so small a map
        return
    output: Tensor = module(x)
    if output.shape != expected:
        raise ContractError(
            f"for {_told(site)} a map of {size[0]} x {size[1]} became {tuple(output.shape)}, and nn.Conv2d gives "
            f"{tuple(expected)}; take stride, padding and dilation as the host gives them, or refuse with a ConfigError"
        )


def _told(site: Mapping[str, Any]) -> str:
    shown = {name: FACTS[name] for name in ("kernel_size", "stride", "padding")} | dict(site)
    return ", ".join(f"{name}={value!r}" for name, value in shown.items())
