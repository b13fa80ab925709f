from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local.children import Child
from local.emulator import Emulator


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return Emulator("http://127.0.0.1:4566", Child("emulator", ended, tmp_path / "emulator.log"))


def test_a_function_url_is_reached_through_the_emulator(emulator: Emulator) -> None:
    url = emulator.function_url("https://abc123.lambda-url.us-east-1.on.aws/")
    assert f"{url}/v1/tasks" == "http://127.0.0.1:4566/_aws/lambda-url/abc123/v1/tasks"


def test_any_client_finds_it_by_the_environment(emulator: Emulator) -> None:
    assert emulator.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert emulator.client("sqs").meta.endpoint_url == "http://127.0.0.1:4566"
