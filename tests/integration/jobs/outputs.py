"""Reading what a finished job left in the Outbox."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tests.integration.jobs.job_maker import request_line
from tests.integration.jobs.world import World


def requests(count: int) -> bytes:
    """A file of requests whose prompts end in their number and a full stop."""
    return b"".join(request_line(f"r-{number}", f"Name river {number}.") for number in range(count))


def river(number: int) -> str:
    """What of a prompt marks one request of ``requests``."""
    return f"river {number}."


def run(world: World, data: bytes, key: str = "rivers.jsonl") -> str:
    """Drop a file and let everything come to rest; return the job's id."""
    upload = world.upload(key, data)
    world.run_until_idle()
    return upload.job_id


def lines(world: World, job_id: str, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.read("Outbox", f"{job_id}/{name}.jsonl").split(b"\n")[:-1]]


def ids(world: World, job_id: str, name: str) -> list[str]:
    return [line["custom_id"] for line in lines(world, job_id, name)]


def summary(world: World, job_id: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(world.read("Outbox", f"{job_id}/summary.json"))
    return decoded


def table(world: World, job_id: str, delimiter: str = ",") -> list[dict[str, str]]:
    text = world.read("Outbox", f"{job_id}/results.csv").decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
