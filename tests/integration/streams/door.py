"""A whole streaming door on this machine, and how tests look at it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx2

from simulator.client import Simulator
from sluice.access.store import KeyStore, KeyTerms
from sluice.aws.dynamodb import Table
from sluice.aws.stdlib_client import AwsAccess
from sluice.claude.events import Event, FrameSplitter, parse_frame
from tests.world.aws import REGION, Resources
from tests.world.rights import Rights

FUNCTION_NAME = "stream_messages"
MODEL = "claude-sonnet-5"
PARAMS: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog"}],
}
_LOG_SECONDS = 10.0


def client_at(endpoint_url: str, service: Any) -> Any:
    """Make a boto3 client of a service at an address."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@dataclass(frozen=True)
class Aws:
    """An AWS with the resources of the template in it."""

    endpoint_url: str
    access: AwsAccess
    table: Table
    resources: Resources
    rights: Rights

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of the function."""
        given = self.resources.environment("StreamMessages")
        # The Function URL host runs it behind the streaming runtime by itself.
        del given["AWS_LAMBDA_EXEC_WRAPPER"]
        return {
            **given,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            # By this its calls are known from the tests' own.
            "AWS_ACCESS_KEY_ID": FUNCTION_NAME,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
        }

    @property
    def claude_secret(self) -> str:
        return self.environment["SLUICE_CLAUDE_SECRET"]

    def client(self, service: Any) -> Any:
        return client_at(self.endpoint_url, service)


@dataclass(frozen=True)
class StreamDoor:
    """A door, its key, and what stands behind it."""

    url: str
    key: str
    simulator: Simulator
    aws: Aws
    log_dir: Path
    client: httpx2.Client

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key, "anthropic-version": "2023-06-01"}

    def post(self, params: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Ask for an answer and read it to its end."""
        return self.request("POST", "/v1/messages", headers, json=dict(params))

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> httpx2.Response:
        """Make any call."""
        return self.client.request(method, self.url + path, headers={**self.headers, **(headers or {})}, **kwargs)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the calls, as the copies of the function have logged them."""
        lines: list[dict[str, Any]] = []
        for path in sorted(self.log_dir.rglob("*")):
            if path.is_file():
                texts = path.read_text().splitlines()
                lines += [json.loads(text[text.index("{") :]) for text in texts if '"message":"call"' in text]
        return lines

    def log_line(self, response: httpx2.Response) -> dict[str, Any]:
        """Return the line of one call; it is written after the answer is out."""
        request_id = response.headers["x-amzn-requestid"]

        def lines() -> list[dict[str, Any]]:
            return [line for line in self.log_lines() if line["request_id"] == request_id]

        wait_for(lambda: bool(lines()))
        return lines()[0]

    def new_key(self, terms: KeyTerms) -> str:
        """Make another key."""
        return KeyStore(self.aws.table).create(terms).text


DoorMaker = Callable[..., AbstractContextManager[StreamDoor]]


def events_of(data: bytes) -> list[Event]:
    """Read a whole event stream; comments are left out."""
    return [event for frame in FrameSplitter().feed(data) if (event := parse_frame(frame)) is not None]


def text_of(events: list[Event]) -> str:
    """Put the text of the deltas together."""
    deltas = [event.decode()["delta"] for event in events if event.name == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


def mark_of(event: Event) -> dict[str, Any]:
    """What a continuation's mark says; nothing for any other event."""
    return dict(event.decode().get("sluice_continued") or {})


def ids_of(events: list[Event]) -> list[int]:
    return [int(event.id) for event in events if event.id is not None]


def numbered(count: int, first: int = 1) -> list[int]:
    return list(range(first, first + count))


def wait_for(condition: Callable[[], bool], seconds: float = _LOG_SECONDS) -> None:
    """Wait until something holds. Raises AssertionError if it does not in time."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.02)
