"""photo-digits: real handwriting on real photographs, composed from installed packages without a download.

    sources  -->  layout  -->  paint  -->  store
    glyphs and    what stands   pixels     a cache of PNG files
    photographs   where

Handwriting and photographs are split before anything is composed, so nothing that validation or test shows was seen in
training. The photographs are few (eight in train, four in each other split): good enough to tell whether a change of a
network helps, not to tell how it does on the world's photographs.
"""

from ablab.tasks.detection.formats.photo_digits.store import compose

__all__ = ["compose"]
