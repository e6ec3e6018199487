"""The application: its paths, and errors as JSON with one sentence.

GET  /          the page                   POST /predict   an image -> boxes, scores, classes, milliseconds
GET  /health    ready or not (503)         GET  /metrics   for Prometheus
GET  /model     what the model says of itself
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from ablab import __version__
from ablab.predict.asked import ask
from ablab.records import plain_json
from ablab.serve.batches import Batcher
from ablab.serve.body import read_image_bytes
from ablab.serve.guard import GONE, Guard
from ablab.serve.limits import Budget, Limits, Refusal
from ablab.serve.metrics import TYPE, Metrics
from ablab.serve.open import Served
from ablab.serve.page import PAGE, POLICY
from ablab.serve.picture import Decoder, Fitted

BUSY = "too many requests are in work already; send it again later"
PATHS = ("/", "/predict", "/health", "/metrics", "/model", "/openapi.json")


class Service:
    """What answers: a model behind its decoder and its batcher, within limits."""

    def __init__(self, served: Served, limits: Limits, wait: float) -> None:
        self.served, self.limits, self.metrics = served, limits, Metrics()
        self.decoder = Decoder(served.model.finder, limits)
        self.batcher = Batcher(served.model, wait, limits.waiting, self.metrics.batch)
        self.reading = Budget(limits.reading, BUSY)
        self.held = Budget(limits.held, BUSY)
        self.waiting = Budget(limits.waiting, BUSY)

    async def predict(self, request: Request) -> Response:
        """Boxes, scores and classes of the image in the body, or in a form; `?threshold=` for all classes."""
        started = time.perf_counter()
        least = ask(self.served.model.thresholds, _threshold(request)).least
        with self.held.hold() as share:
            with self.reading.hold(1):
                data = await read_image_bytes(request, self.limits, share)
            with self.waiting.hold(1):
                try:
                    async with asyncio.timeout(self.limits.seconds):
                        return await self._look(data, least, started)
                except TimeoutError:
                    sentence = f"there was no answer within {self.limits.seconds:g} s; send it again later"
                    raise Refusal(504, sentence) from None

    async def _look(self, data: bytes, least: Any, started: float) -> Response:
        arrived = time.perf_counter()
        fitted: Fitted = await self.decoder.fit(data)
        decoded = time.perf_counter()
        answer = await asyncio.wrap_future(self.batcher.put(fitted.pixels, fitted.place, least))
        objects, (height, width) = answer.objects, fitted.size
        milliseconds = {
            "decode": 1e3 * (decoded - arrived),
            "wait": answer.waited_ms,
            "network": answer.worked_ms,
            "total": 1e3 * (time.perf_counter() - started),
        }
        document = {
            "width": width,
            "height": height,
            "boxes": objects.boxes.round(2).tolist(),
            "scores": objects.scores.round(4).tolist(),
            "classes": [self.served.model.classes[label] for label in objects.labels],
            "ms": {name: round(value, 2) for name, value in milliseconds.items()},
            "batch": answer.batch,
        }
        return JSONResponse(plain_json(document))

    async def page(self) -> Response:
        """The page to drop an image on."""
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    async def health(self) -> Response:
        """200 where images are looked at; 503 while the network warms up, hangs on a batch, or the server ends."""
        ready = self.ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def numbers(self) -> Response:
        """The metrics."""
        return PlainTextResponse(self.metrics.text(len(self.batcher), self.ready), media_type=TYPE)

    async def model(self) -> Response:
        """The model's card, its runtime here, and what may be sent."""
        limits = {"bytes": self.limits.bytes, "pixels": self.limits.pixels, "seconds": self.limits.seconds}
        card = {**self.served.card, "name": self.served.model.name, "runtime": self.served.runtime, "limits": limits}
        return JSONResponse(plain_json(card))

    @property
    def ready(self) -> bool:
        """Whether images are looked at."""
        return self.batcher.ready(self.limits.seconds)

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        """From the start of the server to its end: what is in flight is finished."""
        self.batcher.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.batcher.close, self.limits.seconds)
            self.decoder.close()


def make_app(service: Service) -> ASGIApp:
    """The application around a service."""
    app = FastAPI(title="ablab", version=__version__, docs_url=None, redoc_url=None, lifespan=service.life)
    app.add_api_route("/", service.page, include_in_schema=False)
    app.add_api_route("/predict", service.predict, methods=["POST"], openapi_extra=_PREDICT)
    app.add_api_route("/health", service.health)
    app.add_api_route("/metrics", service.numbers)
    app.add_api_route("/model", service.model)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _failed)
    return Guard(app, service.metrics, PATHS)


def _threshold(request: Request) -> float | None:
    """The least score that is asked for. Raises Refusal (400) for what is no number from 0 to 1."""
    given = request.query_params.get("threshold")
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise Refusal(400, "threshold must be a number from 0 to 1; leave it out for the model's own")
    return value


def _error(status: int, sentence: str, headers: Any = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers=headers)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _error(error.status, error.sentence, error.headers)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"{HTTPStatus(error.status_code).phrase.lower()}; there are {', '.join(PATHS[1:])}, and a page at /"
    return _error(error.status_code, said, error.headers)


async def _left(_: Request, error: Exception) -> Response:
    return Response(status_code=GONE)  # nobody reads it


async def _failed(_: Request, error: Exception) -> Response:
    return _error(500, "the server failed on this request; its log says why")


_PREDICT: dict[str, Any] = {
    "parameters": [
        {
            "name": "threshold",
            "in": "query",
            "description": "Least score of all classes; the model's own, chosen on validation, where it is left out.",
            "schema": {"type": "number", "minimum": 0, "maximum": 1},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}}
            },
        },
    },
}
