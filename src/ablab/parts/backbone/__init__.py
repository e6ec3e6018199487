"""The slot `backbone`: `build(**args)` -> a module that gives a detector its three maps.

    (B, 3, H, W) in 0..1 -> maps (B, channels[i], H / strides[i], W / strides[i]) at strides 8, 16, 32

`channels` and `strides` are what the module declares, three whole numbers each. One whose weights come from elsewhere
says so with a true `pretrained`; the argument of that name switches it off, which is how a finished run is restored
without the file or the network.
"""

from ablab.parts.backbone.from_timm import TimmBackbone
from ablab.parts.backbone.from_torchvision import TorchvisionBackbone

__all__ = ["TimmBackbone", "TorchvisionBackbone"]
