"""Augmentations of a `boxes.Sample`: pure functions, each its own file, put in order by `pipeline`.

Box coordinates are the edges of pixels: a box over pixel columns 3, 4 and 5 has x1 = 3 and x2 = 6. So a flip is
x' = W - x and a resize x' = x * scale. What OpenCV counts from pixel centres is shifted by half a pixel (`affine`).
Every random step makes the same number of draws whatever its settings, so that changing one setting leaves the draws
of the others where they were.
"""
