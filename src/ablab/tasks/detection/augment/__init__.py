"""Augmentations of a `boxes.Sample`, each its own file, put in order by `pipeline`. Importing this registers the slot
`augmentation`: a part is a callable (sample, rng) -> sample of the same size that leaves what it is given as it is.

Box coordinates are the edges of pixels: a box over pixel columns 3, 4 and 5 has x1 = 3 and x2 = 6. So a flip is
x' = W - x and a resize x' = x * scale. What OpenCV counts from pixel centres is shifted by half a pixel (`affine`).
Each augmentation has a stream of its own, so that switching one on leaves the draws of the others where they were; and
each makes the same draws whatever its settings, so that changing one setting leaves those of its others.

Mosaic, mixup and cutmix take more than one sample and are no parts.
"""

from ablab.tasks.detection.augment import affine, blur, crop, cutout, erase, flip, hsv, noise, randaugment
from ablab.tasks.detection.boxes import Sample, Truth

__all__ = ["Sample", "Truth", "affine", "blur", "crop", "cutout", "erase", "flip", "hsv", "noise", "randaugment"]
