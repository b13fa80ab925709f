"""The layer as `sam build` has it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from local.function_url import running_function_url
from tests.integration.streaming_runtime.conftest import LAYER

RUNNING = f"python{sys.version_info.major}.{sys.version_info.minor}"
UNCHECKED_HASH = 0b01  # PEP 552: hash-based, and not checked against the source


def build(folder: Path, python: str, compiler: str) -> str:
    """Builds the layer as `sam build` would, and returns what the build said on standard error."""
    target = {"SLUICE_PYTHON": python, "SLUICE_ARCHITECTURE": "arm64", "SLUICE_COMPILER": compiler}
    run = subprocess.run(
        ["make", "-s", "build-StreamingRuntimeLayer"],
        cwd=LAYER,
        env={**os.environ, **target, "ARTIFACTS_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layer")
    assert build(folder, RUNNING, sys.executable) == ""
    return folder


def test_the_wrapper_lands_at_the_root_and_the_package_where_python_finds_it(built: Path) -> None:
    assert os.access(built / "sluice-streaming", os.X_OK)
    sources = {path.name for path in (LAYER / "streaming_runtime").glob("*.py")}
    assert {path.name for path in (built / "python" / "streaming_runtime").glob("*.py")} == sources


def test_every_module_has_byte_code_that_no_time_stamp_makes_stale(built: Path) -> None:
    compiled = list((built / "python" / "streaming_runtime" / "__pycache__").glob("*.pyc"))
    assert len(compiled) == len(list((LAYER / "streaming_runtime").glob("*.py")))
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {UNCHECKED_HASH}


def test_a_layer_for_a_python_that_is_not_here_is_built_without_byte_code_and_says_so(tmp_path: Path) -> None:
    assert "No python3.99 on this machine" in build(tmp_path, "python3.99", "")
    assert (tmp_path / "python" / "streaming_runtime" / "loop.py").is_file()
    assert not (tmp_path / "python" / "streaming_runtime" / "__pycache__").exists()


def test_a_function_runs_from_the_built_layer(built: Path, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(
        "import streaming_runtime\ndef handler(event, context): return streaming_runtime.__cached__"
    )
    with running_function_url(task_root=tmp_path, layers=[built]) as url, urllib.request.urlopen(url) as response:
        cached = json.load(response)
    assert Path(cached).is_relative_to(built)
    assert Path(cached).is_file()
