"""What stands where a convolution stood, and says so."""

from __future__ import annotations

from torch import Tensor, nn

from ablab.parts.conv.site import Site


class ConvPart(nn.Module):
    """A part of several stages with nn.Conv2d's attributes (`in_channels`, `stride`, ...), so that it can be a host."""

    in_channels: int
    out_channels: int
    last = ""  # the stage with the bias

    def __init__(self, place: Site) -> None:
        super().__init__()
        self.place = place
        for name, fact in vars(place).items():
            setattr(self, name, fact)

    @property
    def bias(self) -> Tensor | None:
        """What is added at the end, where there is such a thing, as nn.Conv2d has it."""
        return dict(self.named_parameters()).get(f"{self.last}.bias")
