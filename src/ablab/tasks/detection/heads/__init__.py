"""Detection heads: from feature maps to raw maps, and from raw maps to boxes and scores."""

from ablab.tasks.detection.heads.anchor import AnchorHead
from ablab.tasks.detection.heads.anchor_free import AnchorFreeHead

__all__ = ["AnchorFreeHead", "AnchorHead"]
