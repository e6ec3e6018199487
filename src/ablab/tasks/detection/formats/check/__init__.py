"""Every defect of a data set, a family a file."""

from ablab.tasks.detection.formats.check.whole import check

__all__ = ["check"]
