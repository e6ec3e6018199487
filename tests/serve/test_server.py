"""A server as the world treats it: whatever comes, a status with JSON goes back, and memory stays bounded."""

from __future__ import annotations

import io
import json
import pickle
import re
import signal
import struct
import subprocess
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import served

MB = 1_000_000
LIMITS = {"bytes": 2 * MB, "pixels": 4 * MB, "seconds": 3.0, "waiting": 32, "reading": 32}
BOUND = 200 * MB  # resident memory that hundreds of requests may add: decoders' workspaces, and what malloc keeps
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[served.Server]:
    with served.serving(**LIMITS) as running:
        yield running


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG of 8-bit grey whose header may claim anything."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")


def gif(canvas: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF whose first frame may be larger than its canvas."""
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", served.encoded())
    return file.getvalue()


def form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    body = b"".join(
        b"--B\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return body + b"--B--\r\n", "multipart/form-data; boundary=B"


NOISE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
JPEG = bytes(cv2.imencode(".jpg", NOISE)[1])
HOSTILE: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', 415),
    "html": (b"<html><script>alert(1)</script></html>", 415),
    "pickle": (pickle.dumps({"a": 1}), 415),
    "zip": (zipped(), 415),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", 415),
    "zeros": (bytes(10_000), 415),
    "text": (b"not an image", 415),
    "no numbers in a head": (b"P6 not a number", 422),
    "only a signature": (b"\x89PNG\r\n\x1a\n", 415),
    "truncated jpeg": (JPEG[: len(JPEG) // 2], 422),
    "truncated png": (served.encoded()[:-30], 422),
    "empty pixels": (png(100, 100, b""), 422),
    "png bomb": (png(60_000, 60_000, bytes(1_000_000)), 413),
    "claims the most": (png(2**31 - 1, 2**31 - 1, b""), 413),
    "gif with a frame beyond its canvas": (gif((1, 1), (60_000, 60_000)), 413),
    "too many pixels": (png(20_000, 300, bytes(20_001 * 300)), 413),
    "too many bytes": (bytes(2 * MB + 1), 413),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_image_is_a_status_and_a_sentence(server: served.Server, name: str) -> None:
    body, status = HOSTILE[name]
    assert_refused(server.predict(body), status)
    wrapped, kind = form(('name="image"; filename="../../x"', body))
    if name != "too many bytes":
        assert_refused(server.predict(wrapped, content_type=kind), status)


def assert_refused(given: tuple[int, Any], status: int) -> None:
    found, document = given
    assert (found, list(document)) == (status, ["error"]), document
    assert not re.search(r"(^|\s)/\w|Traceback|Error|0x|PIL", document["error"]), "no path, no inside"


@pytest.mark.parametrize(
    ("size", "kind"),
    [((60, 80), ".png"), ((1, 1), ".png"), ((3, 20_000), ".png"), ((60, 80), ".jpg"), ((9, 9), ".webp")],
)
def test_an_image_is_answered(server: served.Server, size: tuple[int, int], kind: str) -> None:
    status, document = server.predict(served.encoded((153, 153, 153), size, kind))
    assert status == 200, document
    assert (document["height"], document["width"]) == size
    assert document["boxes"] == [[0, 0, size[1], size[0]]]
    assert document["scores"] == [pytest.approx(0.6, abs=0.01)]
    assert document["classes"] == ["bright"]
    assert set(document["ms"]) == {"decode", "wait", "network", "total"}
    assert 0 < document["ms"]["network"] <= document["ms"]["total"]


def test_a_form_and_a_threshold(server: served.Server) -> None:
    body, kind = form(('name="note"', b"hello"), ('name="image"; filename="a.png"', served.encoded((153, 153, 153))))
    status, document = server.predict(body, "?threshold=0.1", content_type=kind)
    assert (status, document["classes"]) == (200, ["bright", "<b>dark</b>"])
    assert document["scores"] == [0.6, 0.4]
    for query in ("?threshold=nan", "?threshold=2", "?threshold=a", "?threshold="):
        assert_refused(server.predict(served.encoded(), query), 400)


def test_forms_without_a_file_or_out_of_order(server: served.Server) -> None:
    body, kind = form(('name="image"', served.encoded()))
    for given, header in (
        (body, kind),
        (body, "multipart/form-data"),
        (body[:40], kind),
        (b"", kind),
        (b"--B\r\n" * 1000, kind),
        (form(*[(f'name="{i}"; filename="a"', b"") for i in range(50)])[0], kind),
    ):
        assert_refused(server.predict(given, content_type=header), 400)


def test_other_paths_and_methods_are_json_with_browsers_headers(server: served.Server) -> None:
    for method, path, expected in (
        ("GET", "/nothing", 404),
        ("GET", "/..%2f..%2fetc/passwd", 404),
        ("GET", "/docs", 404),
        ("GET", "/predict", 405),
        ("POST", "/model", 405),
        ("GET", "/health", 200),
        ("GET", "/model", 200),
        ("GET", "/openapi.json", 200),
    ):
        status, headers, body = server.ask(method, path)
        assert status == expected, path
        assert isinstance(json.loads(body), dict)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in headers


def test_the_page_is_whole_and_locked(server: served.Server) -> None:
    status, headers, body = server.ask("GET", "/")
    text = body.decode()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "unsafe" not in headers["content-security-policy"]
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text), "nothing is fetched"
    assert "http" not in text
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write", text), "a class name is no markup"


def test_the_models_card(server: served.Server) -> None:
    card = json.loads(server.ask("GET", "/model")[2])
    assert card["classes"] == list(served.CLASSES)
    assert card["thresholds"] == served.THRESHOLDS
    assert (card["runtime"], card["licence"], card["name"]) == ("fake", "CC0-1.0", "colours")
    assert card["limits"] == {"bytes": 2 * MB, "pixels": 4 * MB, "seconds": 3.0}


def test_a_network_that_fails_says_nothing_of_the_server(server: served.Server) -> None:
    assert_refused(server.predict(served.encoded(served.BLUE)), 500)
    assert server.predict(served.encoded())[0] == 200


def test_a_body_that_never_comes_is_408(server: served.Server) -> None:
    answer = server.send(POST + b"Content-Length: 1000\r\n\r\n", b"abc")
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert list(json.loads(answer.partition(b"\r\n\r\n")[2])) == ["error"]


def test_a_head_that_never_comes_is_closed(server: served.Server) -> None:
    assert server.send(b"POST /pre") == b""
    assert server.send(b"") == b""


def test_odd_lengths_and_requests(server: served.Server) -> None:
    image = served.encoded()
    length = b"Content-Length: %d\r\n\r\n"
    too_long = server.send(POST + length % (len(image) + 10) + image, end=True)
    assert too_long == b"" or b" 4" in too_long.split(b"\r\n")[0]
    for raw, status in (
        (POST + length % 10**15, b"413"),
        (POST + b"Content-Length: -5\r\n\r\n", b"400"),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", b"400"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (POST + length % (len(image) - 30) + image, b"422"),
    ):
        answer = server.send(raw)
        assert answer.split(b" ")[1] == status, (raw[:80], answer[:200])
        assert list(json.loads(re.split(rb"\r\n\r\n", answer)[1].split(b"HTTP/1.1 ")[0])) == ["error"]


def test_a_head_without_end_is_cut_off(server: served.Server) -> None:
    answer = server.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), "the rest of it may be met by a reset"


def test_a_body_in_chunks_is_cut_off_at_the_limit(server: served.Server) -> None:
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    answer = server.send(POST + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * (2 * MB // 0x10000 + 2), b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_under_load_every_answer_is_its_own_and_memory_is_bounded() -> None:
    """200 requests, 16 at a time: good images of 100 greys, and everything hostile in between."""
    hostile = list(HOSTILE.values())

    def one(server: served.Server, i: int) -> None:
        if i % 2:
            body, expected = hostile[i // 2 % len(hostile)]
            assert_refused(server.predict(body), expected)
            return
        grey = 55 + i
        status, document = server.predict(served.encoded((grey, grey, grey), (1000, 1500)), "?threshold=0")
        assert status == 200, document
        assert sorted(document["scores"]) == sorted([round(grey / 255, 4), round(1 - grey / 255, 4)])

    with served.serving(**{**LIMITS, "seconds": 100.0}) as server, ThreadPoolExecutor(16) as pool:
        for body, _ in hostile:  # workspaces that are kept once they are there
            server.predict(body)
        before = server.memory()
        assert len(list(pool.map(lambda i: one(server, i), range(200)))) == 200
        assert server.memory() < before + BOUND
        numbers = server.ask("GET", "/metrics")[2].decode()
        assert server.ask("GET", "/health")[0] == 200
    batches, images = (float(re.findall(rf"\nablab_batch_images_{kind} (.*)", numbers)[0]) for kind in ("count", "sum"))
    assert images == 100
    assert batches < images, "some went together"
    assert re.search(r'ablab_requests_total\{path="/predict",status="413"\} \d+', numbers)
    assert float(re.findall(r"\nablab_resident_memory_bytes (.*)", numbers)[0]) > 10 * MB
    assert "ablab_waiting_images 0\n" in numbers


def test_many_large_bodies_at_once_do_not_fill_memory(server: served.Server) -> None:
    """32 senders that stop a byte before the end hold at most their bodies, and then get 408; the others get 503."""
    before = server.memory()
    head = POST + b"Content-Length: %d\r\n\r\n" % (2 * MB)
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(server.send, head, bytes(2 * MB - 1)) for _ in range(40)]
        time.sleep(1)
        peak = server.memory()
        statuses = Counter(answer.result().split(b" ")[1] for answer in answers)
    assert set(statuses) <= {b"408", b"503"}, statuses
    assert statuses[b"408"] > 0
    assert peak < before + BOUND
    assert server.predict(served.encoded())[0] == 200


def test_too_many_and_too_slow() -> None:
    """One slow image at a time, two places: what is too much is 503 at once, what waits too long 504."""
    limits = {**LIMITS, "seconds": 2 * served.SLOW - 0.5, "waiting": 3}
    with served.serving(batch=1, wait=0.0, **limits) as server, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(server.ask, "POST", "/predict", served.encoded(served.RED)) for _ in range(8)]
        answers = [each.result() for each in asked]
        statuses = Counter(status for status, _, _ in answers)
        assert set(statuses) == {200, 503, 504}, statuses
        assert all(headers["retry-after"] == "1" for status, headers, _ in answers if status == 503)
        assert all(list(json.loads(body)) == ["error"] for status, _, body in answers if status != 200)
        server.await_ready()
        time.sleep(served.SLOW)  # what was given up may still be in the network
        assert server.predict(served.encoded())[0] == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_is_in_flight(how: signal.Signals) -> None:
    with served.serving(**{**LIMITS, "seconds": 20.0}) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.predict, served.encoded(served.RED))
        time.sleep(served.SLOW / 3)
        server.process.send_signal(how)
        assert slow.result()[0] == 200
        try:
            _, errors = server.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            pytest.fail("it did not end")
        assert server.process.returncode == 0, errors
        assert errors == ""
