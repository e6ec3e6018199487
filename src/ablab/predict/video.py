"""Videos, cameras and streams as frames, and frames as a video, by OpenCV and its FFmpeg."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from ablab.errors import DataError, StoreError
from ablab.predict.result import Frame
from ablab.predict.sources import Source

WHOLE = 0.9  # of its length by its own header, which a video must reach; lengths are estimates in some containers
CONTAINERS = ((".mp4", "mp4v"), (".avi", "MJPG"))  # the second is OpenCV's own, which no build lacks
LONGEST = 60.0  # seconds for which a live source's frame is repeated; it may be away for hours
USUAL = 25.0  # frames a second, of a video that is to be written and whose source does not say


class Video:
    """A video, camera or stream that is open. `count` is its frames where they can be known, else 0; `rate` a second.

    Raises DataError where it cannot be opened.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._check()
        with _quiet():
            self._capture = cv2.VideoCapture(int(source.place) if source.place.isdecimal() else source.place)
        if not self._capture.isOpened():
            raise DataError(self._why())
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= 1000 else 0.0  # some report a clock instead
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if source.kind == "video" and 0 < count < 1e9 else 0

    def _check(self) -> None:
        path = Path(self.source.place)
        if self.source.kind == "video" and path.is_file() and not path.stat().st_size:
            raise DataError(f"{path} is empty; restore or remove it")

    def _why(self) -> str:
        place = self.source.place
        if self.source.kind == "live":
            what = f"camera {place}" if place.isdecimal() else place
            return f"cannot open {what}; check that it is there, that it is free, and that you may use it"
        return f"cannot read {place}: it is broken, no video, or of a kind that OpenCV's FFmpeg does not know"

    def frames(self) -> Iterator[Frame]:
        """Every frame, RGB, upright.

        Raises DataError at the end where there was none, or where a file ended well before its header says.
        """
        index, shown, start = 0, 0.0, time.monotonic()
        while True:
            with _quiet():
                there, image = self._capture.read()
            if not there:
                break
            shown = time.monotonic() - start if self.source.kind == "live" else self._time(index)
            yield Frame(self.source.place, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), index, shown, self.rate or USUAL)
            index += 1
        self._complete(index, shown)

    def _time(self, index: int) -> float:
        """When the frame that was read last is shown, in seconds."""
        milliseconds = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return milliseconds / 1000 if milliseconds > 0 else index / (self.rate or USUAL)

    def _complete(self, seen: int, last: float) -> None:
        place = self.source.place
        if not seen:
            raise DataError(f"{place} gives no frame: it is empty, broken, or OpenCV's FFmpeg has no decoder for it")
        length = self.count / self.rate if self.rate else 0.0
        # By time, as some containers tell a length in seconds only, from which OpenCV guesses the frames.
        if seen < WHOLE * self.count and last < WHOLE * length:
            raise DataError(
                f"{place} is broken: its header says {length:.1f} s, but it ends after {last:.1f} s ({seen} frames); "
                "what came before is kept"
            )

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()


class Film:
    """A video that is being written: `path` without suffix, frames a second, and the (H, W) of its first frame.

    A live source's frames come when they can: each is repeated until the next one's time. Raises StoreError where no
    codec of this machine's OpenCV can write it.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int], live: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._size, self._rate, self._live = size, rate, live
        self._last: tuple[np.ndarray, float] | None = None
        for suffix, codec in CONTAINERS:
            self.path = path.with_name(path.name + suffix)
            with _quiet():
                code = cv2.VideoWriter.fourcc(*codec)
                self._writer = cv2.VideoWriter(str(self.path), code, rate, size[::-1])
            if self._writer.isOpened():
                return
            self.path.unlink(missing_ok=True)
        codecs = " nor ".join(codec for _, codec in CONTAINERS)
        raise StoreError(
            f"cannot write {path} as a video of {size[1]} x {size[0]} pixels: neither {codecs} works here (a missing "
            "codec, a full disk, or too many pixels); leave the drawing out with --no-draw"
        )

    def add(self, image: np.ndarray, seconds: float) -> None:
        """Append a frame (H, W, 3) uint8 RGB, shown at `seconds`; one of another size is fitted to the first."""
        if image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1], interpolation=cv2.INTER_AREA)
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if self._live and self._last is not None:
            before, since = self._last
            for _ in range(round(min(seconds - since, LONGEST) * self._rate) - 1):
                self._writer.write(before)
        self._writer.write(image)
        self._last = image, seconds

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what OpenCV and FFmpeg say on standard error: whoever calls says it once, in a line."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when FFmpeg is first used; -8 is AV_LOG_QUIET
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
