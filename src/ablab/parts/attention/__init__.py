"""The slot `attention`: weighs a map by itself.  (B, C, H, W) -> (B, C, H, W)

The modules are timm's; ours say their arguments plainly and make each of them count.
"""

from ablab.parts.attention.cbam import CBAM
from ablab.parts.attention.coordinate import CoordinateAttention
from ablab.parts.attention.eca import ECA
from ablab.parts.attention.se import SE

__all__ = ["CBAM", "ECA", "SE", "CoordinateAttention"]
