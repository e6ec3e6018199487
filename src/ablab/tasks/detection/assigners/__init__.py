"""Which cell and anchor answers for which object. Importing this registers the slot `assigner`."""

from ablab.tasks.detection.assigners import ratio
from ablab.tasks.detection.assigners.assignment import Assignment, Grid, Objects

__all__ = ["Assignment", "Grid", "Objects", "ratio"]
