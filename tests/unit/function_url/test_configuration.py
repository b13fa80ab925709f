from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.function_url.configuration import ConfigurationError, FunctionConfiguration


def configured(tmp_path: Path, *layers: Path, **environment: str) -> FunctionConfiguration:
    return FunctionConfiguration(
        handler="handler.handler",
        task_root=tmp_path / "task",
        layers=layers,
        log_dir=tmp_path,
        environment=environment,
        interpreter="/var/lang/bin/python3.13",
    )


def layer(path: Path, *, wrapper: bool = False, built: bool = True) -> Path:
    (path / "python").mkdir(parents=True) if built else path.mkdir()
    if wrapper:
        (path / "sluice-streaming").touch()
    return path


def test_the_wrapper_of_the_last_layer_that_has_one_gets_lambdas_command_line(tmp_path: Path) -> None:
    first, second = layer(tmp_path / "1", wrapper=True), layer(tmp_path / "2", wrapper=True)
    command = configured(tmp_path, first, second, layer(tmp_path / "3")).command()
    assert command == [str(second / "sluice-streaming"), "/var/lang/bin/python3.13", "/var/runtime/bootstrap.py"]


def test_the_environment_may_name_another_wrapper(tmp_path: Path) -> None:
    command = configured(tmp_path, AWS_LAMBDA_EXEC_WRAPPER="/usr/local/bin/wrapper").command()
    assert command[0] == "/usr/local/bin/wrapper"


def test_a_wrapper_that_no_layer_has_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="add the streaming runtime layer's directory"):
        configured(tmp_path, layer(tmp_path / "1")).command()


def test_a_copy_sees_lambdas_variables_and_the_functions_own_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "x")
    built, source = layer(tmp_path / "1"), layer(tmp_path / "2", built=False)
    configuration = configured(tmp_path, built, source, SLUICE_TABLE="t", AWS_REGION="eu-west-1", _HANDLER="mine")
    environment = configuration.copy_environment("127.0.0.1:9001", "stream")
    assert environment.pop("PATH") == os.environ["PATH"]
    assert {
        name: environment[name] for name in environment if name.startswith(("AWS_", "LAMBDA_", "_", "SLUICE_"))
    } == {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "LAMBDA_TASK_ROOT": str(tmp_path / "task"),
        "SLUICE_TABLE": "t",
        "_HANDLER": "handler.handler",
    }
    assert "SECRET_OF_THE_MACHINE" not in environment
    assert environment["PYTHONPATH"] == f"{source}{os.pathsep}{built / 'python'}"
    assert configuration.arn == "arn:aws:lambda:eu-west-1:000000000000:function:function"
