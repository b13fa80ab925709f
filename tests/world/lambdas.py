"""Functions as Lambda runs them: a handler imported afresh, a context, and the sample events."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Context:
    """What Lambda tells a function of its invocation, which has ``seconds`` left; without a clock, they stay."""

    memory_limit_in_mb = 1769
    aws_request_id = "7d0e1f3c-1111-4222-8333-444455556666"

    def __init__(
        self, function_name: str = "sluice", seconds: float = 60.0, now: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function_name}"
        self._now = now
        self._deadline = now() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(round((self._deadline - self._now()) * 1000), 0)


def load_handler(function: str) -> ModuleType:
    """Import the handler of a function such as "plan_job" afresh, as a cold start does."""
    path = ROOT / "functions" / function / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_of_{function}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sample(name: str) -> dict[str, Any]:
    """Read a sample event."""
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event
