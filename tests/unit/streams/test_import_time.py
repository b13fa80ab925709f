"""What a cold start imports: a caller waits for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATHS = [
    str(ROOT / "layers" / "sluice"),
    str(ROOT / "layers" / "streaming_runtime"),
    str(ROOT / "functions" / "stream_messages"),
]
ENVIRONMENT = {
    "SLUICE_TABLE": "t",
    "SLUICE_CLAUDE_SECRET": "s",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_REGION": "us-east-1",
}
# http.client, which speaks to Claude and to AWS, is by far the most of it.
REFERENCE = "import http.client, json, dataclasses, hmac, typing, random, threading"
RUNS = 7

SCRIPT = f"""
import sys, time
sys.path[:0] = {PATHS!r}
before = time.process_time()
{{statement}}
seconds = time.process_time() - before
import json
print(json.dumps([seconds, len(sys.modules), sorted(sys.modules)]))
"""


def run_once(statement: str) -> tuple[float, int, set[str]]:
    command = [sys.executable, "-S", "-c", SCRIPT.replace("{statement}", statement)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    seconds, count, modules = json.loads(done.stdout)
    return seconds, count, set(modules)


@pytest.fixture(scope="module")
def handler_modules() -> set[str]:
    return run_once("import handler")[2]


@pytest.mark.parametrize(
    "module",
    ["anthropic", "boto3", "botocore", "httpx2", "aws_lambda_powertools", "pydantic", "msgspec", "asyncio", "logging"],
)
def test_the_door_does_without(handler_modules: set[str], module: str) -> None:
    assert module not in handler_modules


def test_the_door_imports_few_modules_beyond_the_standard_librarys_http() -> None:
    own = run_once("import handler")[1]
    bare = run_once(REFERENCE)[1]

    assert own - bare < 60


def test_importing_the_door_costs_little_more_than_the_standard_librarys_http() -> None:
    """Processor time, the least of some runs, beside that of the same interpreter: true on a busy machine as well."""
    own = min(run_once("import handler")[0] for _ in range(RUNS))
    bare = min(run_once(REFERENCE)[0] for _ in range(RUNS))

    assert own < 3 * bare
