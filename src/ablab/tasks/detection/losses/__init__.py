"""Detection losses. Importing this registers the slots `box_loss` and `class_loss`."""

from ablab.tasks.detection.losses import box, classification

__all__ = ["box", "classification"]
