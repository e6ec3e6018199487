"""`ablab serve BUNDLE`: a model behind HTTP, with a page to drop an image on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, Plugins, answering
from ablab.errors import ConfigError

PACKAGES = ("fastapi", "uvicorn", "python_multipart")


def serve(
    place: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder, or a run's.")],
    host: Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")] = 8000,
    runtime: Annotated[str, typer.Option("--runtime", help="One of the bundle's; auto: the fastest here.")] = "auto",
    max_megabytes: Annotated[float, typer.Option("--max-megabytes", min=0.001, help="Of a request.")] = 20.0,
    max_pixels: Annotated[float, typer.Option("--max-pixels", min=1, help="Of an image.")] = 40e6,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds for a request to arrive, and as many for its answer.")
    ] = 10.0,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Most images that go through the network together.")
    ] = 16,
    wait_ms: Annotated[float, typer.Option("--wait-ms", min=0, help="How long a batch is gathered.")] = 5.0,
    plugins: Plugins = None,
    json: Json = False,
) -> None:
    """Serve a model over HTTP: POST an image to /predict, or drop it on the page. SIGTERM and Ctrl+C end it.

    There is no password and no encryption: beyond this machine, put it behind a server that has both.
    """
    with answering(json) as answer:
        _need()
        from ablab import registry
        from ablab.serve.limits import Limits
        from ablab.serve.open import open_served
        from ablab.serve.run import address, listen
        from ablab.serve.run import serve as run

        limits = Limits(round(max_megabytes * 1e6), round(max_pixels), timeout, waiting=max(64, 4 * batch))
        with listen(host, port) as door:
            registry.load_plugins([*(plugins or [])])
            served = open_served(place, runtime, batch, lambda text: typer.echo(text, err=True))
            document = {"url": address(door), "model": served.model.name, "runtime": served.runtime}
            said = f"{document['url']}: {served.model.name} in {served.runtime}; Ctrl+C ends it"
            run(served, limits, wait_ms / 1e3, door, lambda: answer(document, said))


def _need() -> None:
    """Raise ConfigError where a package that only serving wants is missing."""
    from importlib.util import find_spec

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(f"serving wants {', '.join(missing)}, which is not installed; pip install 'ablab[serve]'")
