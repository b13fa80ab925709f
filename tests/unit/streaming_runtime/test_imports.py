"""What the layer imports is part of every cold start, so that it has a ceiling."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LAYER = Path(__file__).resolve().parents[3] / "layers" / "streaming_runtime"
DEAR = {
    "argparse", "ast", "asyncio", "base64", "concurrent", "contextlib", "dataclasses", "datetime", "email", "hashlib",
    "http", "inspect", "linecache", "logging", "pathlib", "platform", "random", "runpy", "ssl", "string", "subprocess",
    "tempfile", "threading", "tokenize", "traceback", "typing", "urllib", "uuid", "zoneinfo",
}  # fmt: skip


def modules(statement: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(LAYER)!r}); {statement}; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


@pytest.fixture(scope="module")
def added() -> set[str]:
    return modules("import streaming_runtime.boot") - modules("pass")


def test_the_layer_imports_nothing_dear(added: set[str]) -> None:
    assert added & DEAR == set()


def test_the_layer_adds_little_to_what_a_handler_with_json_and_a_socket_imports(added: set[str]) -> None:
    beyond = added - modules("import json, socket, signal, importlib")
    assert beyond == {"streaming_runtime", "binascii", "__future__"}
