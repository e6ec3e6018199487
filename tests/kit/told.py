"""Events that are kept: what a user was told."""

from __future__ import annotations

from ablab.engine.events import Silent


class Told(Silent):
    """Shows nothing and keeps every sentence."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
