"""The slot `attention`: weighs a map by itself.  (B, C, H, W) -> (B, C, H, W)

Most modules are timm's; ours say their arguments plainly and make each of them count. Those that multiply by a gate
take `fuse: multiply | add` (`fuse.py`).
"""

from ablab.parts.attention.cbam import CBAM
from ablab.parts.attention.coordinate import CoordinateAttention
from ablab.parts.attention.eca import ECA
from ablab.parts.attention.global_context import GC
from ablab.parts.attention.non_local import NonLocal
from ablab.parts.attention.placebo import Placebo
from ablab.parts.attention.sam import SAM
from ablab.parts.attention.se import SE
from ablab.parts.attention.self_attention import SelfAttention

__all__ = ["CBAM", "ECA", "GC", "SAM", "SE", "CoordinateAttention", "NonLocal", "Placebo", "SelfAttention"]
