"""Every call to AWS that the functions make: noted, and cut off where a test wants a crash."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class Crash(BaseException):
    """The function's process is gone. Nothing in it may notice, hence no Exception."""


@dataclass
class AwsCalls:
    """``sent`` holds (queue, task id, delay) of each message. Points are counted while ``watching``."""

    sent: list[tuple[str, str, int]] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    watching: bool = False
    crash_at: int | None = None

    def clear(self) -> None:
        self.sent.clear()
        self.watch(None)
        self.watching = False

    def watch(self, crash_at: int | None) -> None:
        """Count points from here on, and crash at the one with that number."""
        self.points.clear()
        self.watching, self.crash_at = True, crash_at

    def pass_point(self, name: str) -> None:
        """Reach a place where a process may die."""
        if not self.watching:
            return
        self.points.append(name)
        if len(self.points) - 1 == self.crash_at:
            raise Crash(name)

    def note_message(self, params: dict[str, Any], **_: object) -> None:
        """Note the delay of a message, and spare the tests the wait."""
        queue = params["QueueUrl"].rsplit("/", 1)[1].upper()
        self.sent.append((queue, json.loads(params["MessageBody"])["task_id"], params.pop("DelaySeconds", 0)))

    def note_start(self, model: Any, **_: object) -> None:
        self.pass_point(f"before {model.name}")

    def note_end(self, model: Any, **_: object) -> None:
        self.pass_point(f"after {model.name}")
