"""Detection losses. Importing this registers the slots `box_loss`, `class_loss` and `distribution_loss`."""

from ablab.tasks.detection.losses import box, classification, distribution

__all__ = ["box", "classification", "distribution"]
