"""Which place answers for which object. Importing this registers the slot `assigner`."""

from ablab.tasks.detection.assigners import ratio, task_aligned
from ablab.tasks.detection.assigners.assignment import Assign, Assignment, Objects, Predictions
from ablab.tasks.detection.grid import Grid

__all__ = ["Assign", "Assignment", "Grid", "Objects", "Predictions", "ratio", "task_aligned"]
