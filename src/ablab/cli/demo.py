"""`ablab demo`: a real study on the embedded data set."""

from __future__ import annotations

from pathlib import Path

from ablab.cli.answer import Folder, Json, answering
from ablab.cli.run import Jobs, drive


def demo(folder: Folder = None, jobs: Jobs = None, json: Json = False) -> None:
    """Run a real study on embedded data: one harmful change, one debated, one A/A arm, three seeds."""
    with answering(json) as answer:
        from ablab.study import spec

        asked = spec.load(Path(spec.__file__).with_name("demo.yaml"))
        drive(asked, folder or Path("runs") / "demo", jobs, [], answer)
