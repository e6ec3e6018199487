"""`ablab data check` on many images: how long it takes, how much memory, and whether it finds what was planted.

    python benchmarks/data_check.py --images 20000

Writes a data set in VOC layout to a temporary folder (about 90 kB an image): fractal noise of 640 x 480 as JPEG with
coloured ellipses as objects, 7:2:1 split. Planted are copies, near-copies (resized and encoded anew), truncated files
and turned ones. What is timed is the command itself, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ablab.streams import stream
from results import write

WIDTH, HEIGHT = 640, 480
CLASSES = ("ring", "disc", "blob")
PLANTED = {
    "same image in two splits": "a file of train copied into validation",
    "near-duplicate in two splits": "an image of train at 70% of its size and JPEG quality 60, in test",
    "unreadable image": "a file cut after two thirds",
    "EXIF rotation": "orientation 6",
}


def scene(number: int) -> tuple[np.ndarray, list[tuple[str, int, int, int, int]]]:
    """An image (HEIGHT, WIDTH, 3) and its objects."""
    rng = stream("benchmark", "check", number)
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for cells in (4, 16, 64):
        noise = rng.normal(128 if cells == 4 else 0, 260 / cells**0.5, (cells * 3 // 4, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    image += rng.normal(0, 4, image.shape).astype(np.float32)
    objects = []
    for _ in range(int(rng.integers(1, 9))):
        w, h = (int(x) for x in 2 * rng.integers(8, 60, 2))
        x, y = int(rng.integers(0, WIDTH - w)), int(rng.integers(0, HEIGHT - h))
        label = int(rng.integers(len(CLASSES)))
        colour = tuple(rng.uniform(0, 255, 3).tolist())
        cv2.ellipse(image, (x + w // 2, y + h // 2), (w // 2, h // 2), 0, 0, 360, colour, 4 if label == 0 else -1)
        objects.append((CLASSES[label], x, y, x + w, y + h))
    return image.clip(0, 255).astype(np.uint8), objects


def write_scene(root: Path, number: int) -> None:
    image, objects = scene(number)
    cv2.imwrite(str(root / f"JPEGImages/{number:06}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    annotate(root, number, objects)


def annotate(
    root: Path, number: int, objects: list[tuple[str, int, int, int, int]], size: tuple[int, int] = (WIDTH, HEIGHT)
) -> None:
    entries = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for name, x1, y1, x2, y2 in objects
    )
    text = f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{entries}</annotation>"
    (root / f"Annotations/{number:06}.xml").write_text(text)


def make(root: Path, images: int) -> None:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write_scene, [root] * images, range(images), chunksize=50))
    train, validation = images * 7 // 10, images * 9 // 10
    for name, numbers in (
        ("train", range(train)),
        ("val", range(train, validation)),
        ("test", range(validation, images)),
    ):
        (root / f"ImageSets/Main/{name}.txt").write_text("".join(f"{number:06}\n" for number in numbers))


def plant(root: Path, images: int, each: int) -> None:
    """`each` of every kind; those of one kind are never those of another."""

    def file(number: int) -> Path:
        return root / f"JPEGImages/{number:06}.jpg"

    train, validation = images * 7 // 10, images * 9 // 10
    for i in range(each):
        file(train + i).write_bytes(file(i).read_bytes())
        annotate(root, train + i, scene(i)[1])
        small = cv2.resize(cv2.imread(str(file(each + i))), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(file(validation + i)), small, [cv2.IMWRITE_JPEG_QUALITY, 60])
        annotate(root, validation + i, [], (small.shape[1], small.shape[0]))
        data = file(2 * each + i).read_bytes()
        file(2 * each + i).write_bytes(data[: len(data) * 2 // 3])
        exif = Image.Exif()
        exif[0x0112] = 6
        with Image.open(file(3 * each + i)) as picture:
            picture.save(file(3 * each + i), exif=exif, quality=90)


def run(root: Path) -> tuple[float, float, float, dict[str, int]]:
    """Seconds, seconds of one core, MB of the largest process, and the number of defects of each kind."""
    command = [sys.executable, "-m", "ablab", "data", "check", str(root), "--json"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    core = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return seconds, core, used.ru_maxrss / 1024, json.loads(done.stdout)["counts"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--planted", type=int, default=20, help="of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "scenes"
        make(root, arguments.images)
        plant(root, arguments.images, arguments.planted)
        megabytes = sum(file.stat().st_size for file in (root / "JPEGImages").iterdir()) / 1e6
        seconds, core, largest, counts = run(root)
    rows = "\n".join(
        f"| {kind} | {what} | {arguments.planted} | {counts.get(kind, 0)} |" for kind, what in PLANTED.items()
    )
    others = Counter({kind: count for kind, count in counts.items() if kind not in PLANTED})
    text = "\n".join(
        (
            f"{arguments.images:,} images of {WIDTH} x {HEIGHT}, {megabytes:,.0f} MB, on {os.cpu_count()} cores:",
            f"**{seconds:.0f} s**, {arguments.images / seconds:,.0f} images/s, {core:.0f} s of one core; the largest",
            f"process took {largest:,.0f} MB.",
            "",
            "| defect | planted | times | found |",
            "|---|---|---|---|",
            rows,
            "",
            f"Other kinds: {', '.join(f'{count} x {kind}' for kind, count in others.items()) or 'none'}.",
        )
    )
    print(text)
    write("Data check: every defect of a data set", text)


if __name__ == "__main__":
    main()
