"""A server in a process of its own, with a network that is none: what it finds follows from an image's colour.

As a script: `python served.py LIMITS-AS-JSON BATCH WAIT` serves on a free port and prints its address.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import psutil

from ablab.contracts import Objects
from ablab.predict.model import Model

CLASSES = ("bright", "<b>dark</b>")
THRESHOLDS = {"bright": 0.25, "<b>dark</b>": 0.5}
SIDE = 32
RED, BLUE, SLOW = (255, 0, 0), (0, 0, 255), 1.5  # red takes SLOW seconds, on blue the network fails


class Finder:
    """A box around the whole image, of both classes; `contracts.Finder` without a network."""

    classes = CLASSES
    recipe: Any = SimpleNamespace(task="detection", postprocess=SimpleNamespace(agnostic=False))

    def read(self, path: Path) -> np.ndarray:
        raise AssertionError("a server reads no files")

    def fit(self, image: np.ndarray) -> tuple[np.ndarray, Any]:
        return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), image.shape[:2]

    def decode(self, model: Any, images: Any) -> Any:
        raise AssertionError("the runner stands in for the network")

    def found(self, boxes: np.ndarray, scores: np.ndarray, places: Sequence[Any], least: np.ndarray) -> list[Objects]:
        made = []
        for box, score, (height, width) in zip(boxes, scores, places, strict=True):
            labels = np.flatnonzero(score[0] >= least)
            labels = labels[np.argsort(-score[0, labels])]
            scaled = box[0] / SIDE * [width, height, width, height]
            made.append(Objects(np.repeat(scaled[None], len(labels), axis=0), score[0, labels], labels))
        return made

    def draw(self, image: np.ndarray, objects: Objects) -> np.ndarray:
        raise AssertionError("a server draws nothing")


def runner(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The whole image as a box, which scores its mean for "bright" and the rest for the other class."""
    for image in images:
        colour = tuple(image[SIDE // 2, SIDE // 2])
        if colour == RED:
            time.sleep(SLOW)
        if colour == BLUE:
            raise RuntimeError("blue: /secret/place cannot be read")
    bright = images.mean(axis=(1, 2, 3)) / 255
    boxes = np.broadcast_to(np.array([0.0, 0.0, SIDE, SIDE]), (len(images), 1, 4))
    return boxes, np.stack([bright, 1 - bright], axis=-1)[:, None]


def model(batch: int = 16, run: Any = runner) -> Model:
    """The model that is none."""
    return Model(Finder(), run, THRESHOLDS, batch=batch, name="colours")


def encoded(
    colour: tuple[int, int, int] = (200, 200, 200), size: tuple[int, int] = (60, 80), kind: str = ".png"
) -> bytes:
    """One colour as the bytes of an image file of (H, W)."""
    image = np.full((*size, 3), colour[::-1], np.uint8)
    return bytes(cv2.imencode(kind, image)[1])


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    url: str

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with lower-case names, and body."""
        connection = HTTPConnection(*self.place, timeout=120)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def predict(self, image: bytes, query: str = "", **headers: str) -> tuple[int, Any]:
        """Status and document of `POST /predict`."""
        status, _, body = self.ask("POST", f"/predict{query}", image, **headers)
        return status, json.loads(body)

    def send(self, *pieces: bytes, pause: float = 0.0, end: bool = False) -> bytes:
        """Raw bytes on a connection of their own, and all that comes back; `end` closes the way there first."""
        found = b""
        with socket.create_connection(self.place, timeout=120) as connection, suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while got := connection.recv(65536):
                found += got
        return found

    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def await_ready(self, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while self.ask("GET", "/health")[0] != 200:
            assert time.monotonic() < end, "never ready"
            time.sleep(0.05)


@contextmanager
def started(command: Sequence[str]) -> Iterator[Server]:
    """A process that prints {"url": ...} once it listens; it is ended, if it has not ended itself."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            line = process.stdout.readline()
            if not line:
                raise AssertionError(process.communicate()[1])
            text += line
        server = Server(process, json.loads(text)["url"])
        server.await_ready()
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def serving(batch: int = 8, wait: float = 0.02, **limits: Any) -> Any:
    """`started` with the model that is none."""
    return started([sys.executable, os.path.abspath(__file__), json.dumps(limits), str(batch), str(wait)])


def _main(limits: str, batch: str, wait: str) -> None:
    from ablab.serve.limits import Limits
    from ablab.serve.open import Served
    from ablab.serve.run import address, listen, serve

    card = {"classes": list(CLASSES), "thresholds": THRESHOLDS, "licence": "CC0-1.0", "provenance": {"arm": "none"}}
    with listen("127.0.0.1", 0) as door:
        opened = lambda: print(json.dumps({"url": address(door)}), flush=True)  # noqa: E731
        serve(Served(model(int(batch)), "fake", card), Limits(**json.loads(limits)), float(wait), door, opened)


if __name__ == "__main__":
    _main(*sys.argv[1:])
