"""The one place for what an evaluation is made of (trap 17). The values are COCO's (cocodataset.org, pycocotools)."""

from __future__ import annotations

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
AREAS = {"": (0.0, 1e10), "s": (0.0, 32.0**2), "m": (32.0**2, 96.0**2), "l": (96.0**2, 1e10)}  # pixels, ends included
CAPS = (1, 10)  # AR1 and AR10: the best so many detections of a class in an image
MAX_DETECTIONS = 100  # of a class in an image
FIXED_THRESHOLDS = (0.4, 0.5)  # scores at which precision, recall and F1 are also given
FALLBACK_THRESHOLD = 0.5  # chosen where validation has no detection to choose by
