"""Augmentations of a `boxes.Sample`: pure functions, each its own file, put in order by `pipeline`.

Box coordinates are the edges of pixels: a box over pixel columns 3, 4 and 5 has x1 = 3 and x2 = 6. So a flip is
x' = W - x and a resize x' = x * scale. What OpenCV counts from pixel centres is shifted by half a pixel (`affine`).
Each augmentation has a stream of its own, so that switching one on leaves the draws of the others where they were; and
each makes the same draws whatever its settings, so that changing one setting leaves those of its others.
"""
