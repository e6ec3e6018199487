"""What is wrong with an image by itself: unreadable, damaged, turned, of another size, in an unusual form."""

from __future__ import annotations

from collections.abc import Iterator

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.check.images import Look
from ablab.tasks.detection.formats.defect import Defect

TURNS = {
    2: "to mirror it left to right",
    3: "to turn it by 180 degrees",
    4: "to mirror it top to bottom",
    5: "to turn it by 90 degrees clockwise and mirror it left to right",
    6: "to turn it by 90 degrees clockwise",
    7: "to turn it by 90 degrees anticlockwise and mirror it left to right",
    8: "to turn it by 90 degrees anticlockwise",
}
FORMS = {
    "CMYK": ("CMYK image", "its printing colours become RGB without a colour profile, so that hues may be off"),
    "16-bit": ("16-bit image", "of more than 8 bits a value the upper eight are kept"),
    "palette": ("palette image", "its colours are looked up in its palette; transparency is dropped"),
    "alpha": ("image with alpha", "transparency is dropped; transparent pixels show the colour stored under it"),
}
DARK = 64  # of 255: an image with 16 bits of which fewer are in use becomes this dark


def pixel_defects(annotation: Annotation, look: Look) -> Iterator[Defect]:
    """Defects of one image, from a look at its file."""
    if look.error:
        yield Defect("unreadable image", annotation.id, look.error)
        return
    width, height = look.size
    if look.damage:
        detail = f"the decoder fills what is damaged and goes on: {look.damage}"
        yield Defect("damaged image", annotation.id, detail)
    if look.size != (annotation.width, annotation.height):
        detail = f"annotated as {annotation.width} x {annotation.height}, but the image is {width} x {height}"
        yield Defect("size differs", annotation.id, f"{detail}: its boxes may stand elsewhere")
    if look.orientation in TURNS:
        tiff = annotation.path.suffix.lower() in (".tif", ".tiff")  # their decoders turn them, with no way to refuse
        asked = f"its EXIF data asks viewers {TURNS[look.orientation]}"
        read = f"boxes are taken to stand in the pixels as {'turned' if tiff else 'stored'}, {width} x {height}"
        yield Defect("EXIF rotation", annotation.id, f"{asked}; {read}")
    if look.form:
        kind, detail = FORMS[look.form]
        if look.form == "16-bit" and look.brightest < DARK:
            detail += f"; the brightest is then {look.brightest} of 255: stretch the values and save it with 8 bits"
        yield Defect(kind, annotation.id, detail)
