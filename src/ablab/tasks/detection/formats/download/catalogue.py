"""Which data sets `ablab data get` knows: where they are, their checksums, and under which terms.

Checksums: VOC's are those of torchvision.datasets.voc; COCO's and coco128's are the ones that several public projects
state independently of each other (the publishers state none).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ablab.errors import UnknownName
from ablab.tasks.detection.formats.download.fetch import Remote

VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
COCO = "http://images.cocodataset.org"  # no https: its certificate is of another name; the checksum guards instead
COCO_TERMS = "annotations CC BY 4.0 (COCO Consortium); each image under its photographer's Flickr terms"
VOC_TERMS = "images from Flickr, whose terms of use hold; VOC asks to be cited and states no licence of its own"
COCO_CLASSES = """
person; bicycle; car; motorcycle; airplane; bus; train; truck; boat; traffic light; fire hydrant; stop sign;
parking meter; bench; bird; cat; dog; horse; sheep; cow; elephant; bear; zebra; giraffe; backpack; umbrella; handbag;
tie; suitcase; frisbee; skis; snowboard; sports ball; kite; baseball bat; baseball glove; skateboard; surfboard;
tennis racket; bottle; wine glass; cup; fork; knife; spoon; bowl; banana; apple; sandwich; orange; broccoli; carrot;
hot dog; pizza; donut; cake; chair; couch; potted plant; bed; dining table; toilet; tv; laptop; mouse; remote; keyboard;
cell phone; microwave; oven; toaster; sink; refrigerator; book; clock; vase; scissors; teddy bear; hair drier;
toothbrush
"""


@dataclass(frozen=True)
class Piece:
    """What of an archive belongs to a part of a data set: the files whose names match one of `keep`."""

    part: str
    remote: Remote
    keep: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Source:
    """A data set. Its archives unpack to `folder`; `extra` are (name, text) of small files that they lack."""

    name: str
    title: str
    terms: str
    folder: str
    pieces: tuple[Piece, ...]
    extra: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What `only` may name."""
        return tuple(dict.fromkeys(piece.part for piece in self.pieces))

    def wanted(self, only: str | None) -> tuple[Piece, ...]:
        """The pieces of one part, or all; raises UnknownName, with the valid parts."""
        if only is not None and only not in self.parts:
            raise UnknownName("part", only, self.parts, self.name)
        return tuple(piece for piece in self.pieces if only in (None, piece.part))


def catalogue(base: str | None = None) -> dict[str, Source]:
    """Every data set by its name. `base` is another server, whose folder holds all archives side by side."""
    sources = {source.name: source for source in (_voc2007(), _voc2012(), _coco2017(), _coco128())}
    if base is None:
        return sources
    return {name: _moved(source, base) for name, source in sources.items()}


def _moved(source: Source, base: str) -> Source:
    pieces = (
        replace(piece, remote=replace(piece.remote, url=f"{base}/{piece.remote.name}")) for piece in source.pieces
    )
    return replace(source, pieces=tuple(pieces))


def _voc2007() -> Source:
    trainval = Remote(f"{VOC}/voc2007/VOCtrainval_06-Nov-2007.tar", 460_032_000, "md5:c52e279531787c972589f7e41ab4ae64")
    test = Remote(f"{VOC}/voc2007/VOCtest_06-Nov-2007.tar", 451_020_800, "md5:b6e924de25625d8de591ea690078ad9f")
    return Source(
        "voc2007",
        "PASCAL VOC 2007: 9,963 images, 20 classes",
        VOC_TERMS,
        "VOCdevkit/VOC2007",
        (Piece("trainval", trainval), Piece("test", test)),
    )


def _voc2012() -> Source:
    trainval = Remote(
        f"{VOC}/voc2012/VOCtrainval_11-May-2012.tar", 1_999_639_040, "md5:6cd6e144f989b92b3379bac3b3de84fd"
    )
    return Source(
        "voc2012",
        "PASCAL VOC 2012: 11,540 images with boxes, 20 classes",
        VOC_TERMS,
        "VOCdevkit/VOC2012",
        (Piece("trainval", trainval),),
        note="VOC 2012's test annotations were never published: there is no test split",
    )


def _coco2017() -> Source:
    train = Remote(f"{COCO}/zips/train2017.zip", 19_336_861_798, "md5:cced6f7f71b7629ddf16f17bbcfab6b2")
    val = Remote(f"{COCO}/zips/val2017.zip", 815_585_330, "md5:442b8da7639aecaf257c1dceb8ba8c80")
    annotations = Remote(
        f"{COCO}/annotations/annotations_trainval2017.zip", 252_907_541, "md5:f4bbac642086de4f52a3fdda2de5fa2c"
    )
    return Source(
        "coco2017",
        "COCO 2017: 118,287 images to train and 5,000 to validate, 80 classes",
        COCO_TERMS,
        "coco2017",
        (
            Piece("val", val),
            Piece("val", annotations, ("annotations/instances_val2017.json",)),
            Piece("train", annotations, ("annotations/instances_train2017.json",)),
            Piece("train", train),
        ),
        note="COCO keeps the annotations of its test images to itself: there is no test split",
    )


def _coco128() -> Source:
    archive = Remote(
        "https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip",
        6_983_030,
        "sha256:61e5e3028863d8ffc3b81d6a514603954889f0edd5e4b44c4ce60b2da99aeb8e",
    )
    names = (name.strip() for name in COCO_CLASSES.replace("\n", " ").split(";"))
    listed = "\n".join(f"  {number}: {name}" for number, name in enumerate(names))
    return Source(
        "coco128",
        "coco128: 128 images of COCO train2017 in YOLO layout, packed by Ultralytics; for trying things out",
        COCO_TERMS,
        "coco128",
        (Piece("train", archive),),
        extra=(("data.yaml", f"train: images/train2017\nnames:\n{listed}\n"),),
        note="coco128 does not split its images; divide them with `ablab data split`",
    )
