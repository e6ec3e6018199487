"""The slot `upsample`: a finer map of the same channels.  (B, C, H, W) -> (B, C, scale * H, scale * W)

Resizing adds nothing learnt and leaves no pattern; a transposed convolution learns the finer map and can leave a
checkerboard.
"""

from ablab.parts.upsample.learnt import PixelShuffleConv, ResizeConv, TransposedConv
from ablab.parts.upsample.resize import Bilinear, Nearest

__all__ = ["Bilinear", "Nearest", "PixelShuffleConv", "ResizeConv", "TransposedConv"]
