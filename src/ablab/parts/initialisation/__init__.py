"""The slot `initialisation`: draws a weight anew, in place, from torch's current generator.

    part(**own) -> callable(weight)      weight (out, in, ...), two or more dimensions, of any float type and layout

Fans are torch.nn.init's: in is `in` times the kernel's size, out is `out` times it. Of a grouped convolution the
tensor's second side is one group's channels, so its fan in is right, but its fan out is `groups` times too large; of a
transposed convolution, whose tensor is (in, out, ...), each is the other.
"""

from ablab.parts.initialisation.kaiming import Kaiming
from ablab.parts.initialisation.orthogonal import Orthogonal
from ablab.parts.initialisation.xavier import Xavier

__all__ = ["Kaiming", "Orthogonal", "Xavier"]
