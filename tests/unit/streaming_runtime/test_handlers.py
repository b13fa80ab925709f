from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streaming_runtime.failures import HandlerNotLoaded
from streaming_runtime.handlers import import_path, load_handler

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("front_door", "rooms", "rooms.front_door"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_handler_is_found_by_module_and_name(function: Path) -> None:
    (function / "front_door.py").write_text("def open_it(event, context): return 'open'")
    assert load_handler("front_door.open_it")({}, None) == "open"


@pytest.mark.parametrize("name", ["rooms.front_door.open_it", "rooms/front_door.open_it"])
def test_a_handler_is_found_in_a_package_by_dots_or_slashes(function: Path, name: str) -> None:
    (function / "rooms").mkdir()
    (function / "rooms" / "front_door.py").write_text("def open_it(event, context): return 'open'")
    assert load_handler(name)({}, None) == "open"


@pytest.mark.parametrize(
    ("source", "name", "error_type", "message"),
    [
        ("", "nothing", "Runtime.MalformedHandlerName", "'nothing' is not of the form module.function"),
        ("", ".open_it", "Runtime.MalformedHandlerName", "not of the form"),
        ("", "absent_module.open_it", "Runtime.ImportModuleError", "No module named 'absent_module'"),
        (
            "import absent_package",
            "front_door.open_it",
            "Runtime.ImportModuleError",
            "No module named 'absent_package'",
        ),
        ("def (", "front_door.open_it", "Runtime.UserCodeSyntaxError", "syntax error in module 'front_door'"),
        ("x = 1", "front_door.open_it", "Runtime.HandlerNotFound", "module 'front_door' has no function 'open_it'"),
        ("open_it = 1", "front_door.open_it", "Runtime.HandlerNotFound", "has no function 'open_it'"),
    ],
)
def test_a_function_that_cannot_start_says_why(
    function: Path, source: str, name: str, error_type: str, message: str
) -> None:
    (function / "front_door.py").write_text(source)
    with pytest.raises(HandlerNotLoaded, match=message) as caught:
        load_handler(name)
    assert caught.value.error_type == error_type


def test_what_the_module_itself_raises_passes_through(function: Path) -> None:
    (function / "front_door.py").write_text("raise KeyError('SLUICE_TABLE')")
    with pytest.raises(KeyError, match="SLUICE_TABLE"):
        load_handler("front_door.open_it")


def test_the_function_comes_before_the_layers_and_the_runtimes_packages_last() -> None:
    assert import_path({"LAMBDA_TASK_ROOT": "/var/task"}, ["/start"]) == [
        "/var/task",
        f"/opt/python/lib/{VERSION}/site-packages",
        "/opt/python",
        "/start",
        "/var/runtime",
    ]


def test_a_python_path_that_is_set_is_left_as_it_is() -> None:
    environ = {"LAMBDA_TASK_ROOT": "/var/task", "PYTHONPATH": "/layers"}
    assert import_path(environ, ["/layers", "/lib"]) == ["/var/task", "/layers", "/lib"]
    assert import_path({"PYTHONPATH": "/layers"}, ["/layers"]) == ["/layers"]
