"""Drawn pictures and videos of what was found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ablab.errors import StoreError
from ablab.predict.result import Failure, Result
from ablab.predict.video import Film
from ablab.predict.writing.job import Job

QUALITY = 92  # of a JPEG, with all its colours kept: thin lines and letters bleed otherwise
LONGEST = 65_500  # pixels a side, JPEG's limit


class Pictures:
    """A `Writer` that draws: `<name>.jpg` of an image, `<name>.mp4` of a video, camera or stream."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._live = {source.place for source in job.sources if source.kind == "live"}
        self._film: tuple[str, Film] | None = None
        job.folder.mkdir(parents=True, exist_ok=True)

    def add(self, result: Result) -> None:
        """Draw an image, or append a frame. Raises StoreError where it cannot be written."""
        frame, image = result.frame, result.painted()
        if frame.index is None:
            path = self._job.folder / f"{self._job.stem(frame)}.jpg"
            path.write_bytes(encode(image))
            return
        if self._film is None or self._film[0] != frame.source:
            self._finish()
            path = self._job.folder / self._job.stem_of(frame.source)
            self._film = frame.source, Film(path, frame.rate, image.shape[:2], frame.source in self._live)
        self._film[1].add(image, frame.seconds)

    def _finish(self) -> None:
        if self._film:
            self._film[1].close()
            self._film = None

    def close(self, failed: Sequence[Failure]) -> None:
        """Finish the video that is being written."""
        self._finish()


def encode(image: np.ndarray) -> bytes:
    """An image (H, W, 3) uint8 RGB as a JPEG, made smaller where it is longer than JPEG allows."""
    longest = max(image.shape[:2])
    if longest > LONGEST:
        share = LONGEST / longest
        image = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise StoreError(f"cannot encode a picture of {image.shape[1]} x {image.shape[0]} pixels as JPEG")
    return data.tobytes()
