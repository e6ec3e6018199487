"""The slot `conv`: what may stand where a convolution stands.  (B, in, H, W) -> (B, out, H', W') as nn.Conv2d

The host tells a part what nn.Conv2d is told; `padding_mode` is none of it, so parts pad with zeros.
"""

from torch import nn

from ablab.parts.conv.acnet import AsymmetricBlock
from ablab.parts.conv.central_difference import CentralDifferenceConv
from ablab.parts.conv.dilated import DilatedConv
from ablab.parts.conv.grouped import GroupedConv
from ablab.parts.conv.inception import Inception
from ablab.parts.conv.micro import MicroFactorisedConv
from ablab.parts.conv.nin import MLPConv
from ablab.parts.conv.pointwise import PointwiseConv
from ablab.parts.conv.reparameterize import Reparameterizable
from ablab.parts.conv.repvgg import RepVGG
from ablab.parts.conv.separable import DepthwiseSeparableConv
from ablab.registry import register

__all__ = [
    "AsymmetricBlock",
    "CentralDifferenceConv",
    "DepthwiseSeparableConv",
    "DilatedConv",
    "GroupedConv",
    "Inception",
    "MLPConv",
    "MicroFactorisedConv",
    "PointwiseConv",
    "RepVGG",
    "Reparameterizable",
]

register(
    "conv",
    "conv",
    paper="https://doi.org/10.1109/5.726791",
    note="A weighted sum over a window, torch's own; to try another kernel_size, dilation or padding_mode.",
    alternatives={"padding_mode": ["reflect"]},
)(nn.Conv2d)
