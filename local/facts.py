"""stack.json: how each door of a running stack is reached."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StackFacts:
    """What stack.json says: how each door of a running stack is reached."""

    stream_url: str
    api_url: str
    aws_endpoint_url: str
    region: str
    inbox_bucket: str
    outbox_bucket: str
    table: str
    completion_topic_arn: str
    claude_base_url: str
    client_key: str | None
    webhook_secret: str
    notifications_queue_url: str
    log_dir: str


def write_facts(path: Path, facts: StackFacts) -> None:
    """Write stack.json in one step, so that whoever waits for it never reads half of it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(asdict(facts), indent=2) + "\n")
    unfinished.replace(path)


def read_facts(path: Path) -> StackFacts:
    """The facts of a running stack, from its stack.json."""
    return StackFacts(**json.loads(path.read_text()))


def remove_facts(path: Path, facts: StackFacts) -> None:
    """Remove stack.json, unless another stack that was started meanwhile in the same folder has replaced it."""
    if path.exists() and read_facts(path) == facts:
        path.unlink()
