"""What is checked before a deployment, and how SAM is called for it; what is put into a stack afterwards."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local import account, build, claude_key, client_keys, deploy
from local.account import Account, DeploymentError, concurrency_warnings, obstacles, open_account, stack_output
from local.samconfig import DeployConfig
from local.template import ROOT
from tests.world.aws import create_table, template

Run = Callable[..., int]

ANSWERED = DeployConfig("sluice", answers={"AuthMode": "keys"})


class Lambda:
    """Answers for the settings of an account; ``limit`` None: it refuses to."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit

    def client(self, _service: str) -> Lambda:
        return self

    def get_account_settings(self) -> Mapping[str, Any]:
        if self._limit is None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetAccountSettings")
        return {"AccountLimit": {"ConcurrentExecutions": self._limit}}


@pytest.fixture
def calls() -> list[str]:
    """What was done, in place of a build and of SAM."""
    return []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: list[str]) -> Run:
    built = tmp_path / "template.yaml"
    parameters = {"PythonRuntime": {"Default": "python3.13"}, "Architecture": {"Default": "arm64"}}
    built.write_text(json.dumps({"Parameters": parameters}))

    def note_build(_arguments: object) -> int:
        calls.append("build")
        return 0

    def note_deploy(stack: str | None, *, guided: bool) -> int:
        calls.append(" ".join(deploy.sam_command(stack, guided=guided)[1:]))
        return 0

    def run(config: DeployConfig, region: str = "eu-west-1", limit: int | None = 1000, **asked: Any) -> int:
        monkeypatch.setattr(deploy, "read_config", lambda *_: config)
        arguments = {"guided": False, "stack": None, "runtime": None, "architecture": None, **asked}
        return deploy.main(arguments, lambda _: Account(Lambda(limit), "arn:aws:iam::1:user/ada", region))

    monkeypatch.setattr(build, "main", note_build)
    monkeypatch.setattr(deploy, "_deploy", note_deploy)
    monkeypatch.setattr(deploy, "BUILT", built)
    return run


def test_the_first_deployment_asks_and_the_next_ones_do_not(
    run: Run, calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(DeployConfig("sluice")) == 0
    assert "make claude-key" in capsys.readouterr().out
    assert run(ANSWERED) == 0
    assert run(ANSWERED, guided=True, stack="shop") == 0
    assert "make claude-key" not in capsys.readouterr().out
    assert calls == ["build", "deploy --guided", "build", "deploy", "build", "deploy --stack-name shop --guided"]


def test_sam_is_told_of_no_template_so_that_it_finds_the_answers_at_the_root() -> None:
    assert deploy.sam_command("shop", guided=True) == [str(build.SAM), "deploy", "--stack-name", "shop", "--guided"]


@pytest.mark.parametrize(
    ("stack", "region", "said"),
    [
        ("sluice", "eu-central-2", "no Function URLs in eu-central-2"),
        ("sluice", "cn-north-1", "no Function URLs in cn-north-1"),
        ("my_stack", "eu-west-1", "cannot be the name of a stack"),
        ("7up", "eu-west-1", "cannot be the name of a stack"),
        ("a" * 129, "eu-west-1", "cannot be the name of a stack"),
    ],
)
def test_what_cannot_be_deployed_is_not_built(
    run: Run, calls: list[str], capsys: pytest.CaptureFixture[str], stack: str, region: str, said: str
) -> None:
    assert run(DeployConfig(stack), region) == 1
    assert said in capsys.readouterr().err
    assert calls == []


@pytest.mark.parametrize("stack", ["Sluice", "a", "A-long-name-in-both-cases-" + "x" * 100])
def test_any_name_that_cloudformation_takes_is_good(stack: str) -> None:
    assert list(obstacles(stack, "us-east-1")) == []


@pytest.mark.parametrize(
    ("limit", "answers", "said"),
    [
        (10, {}, ["may run 10 functions"]),
        (1000, {}, []),
        (1000, {"StreamConcurrency": "900"}, []),
        (1000, {"StreamConcurrency": "901"}, ["100 to remain"]),
        (10, {"StreamConcurrency": "1"}, ["may run 10 functions", "100 to remain"]),
    ],
)
def test_too_few_concurrent_executions_are_told_of(limit: int, answers: Mapping[str, str], said: list[str]) -> None:
    warnings = list(concurrency_warnings(limit, answers))
    assert len(warnings) == len(said)
    assert all(words in warning for words, warning in zip(said, warnings, strict=True))


def test_a_quota_that_cannot_be_read_does_not_stop_a_deployment(
    run: Run, calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(DeployConfig("sluice"), limit=None) == 0
    assert "cannot be read" in capsys.readouterr().out
    assert calls == ["build", "deploy --guided"]


def test_answers_for_another_runtime_than_was_built_for_are_told_of(
    run: Run, calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(DeployConfig("sluice", answers={"PythonRuntime": "python3.12"})) == 1
    assert "PythonRuntime is python3.12 in samconfig.toml" in capsys.readouterr().err
    assert calls == ["build"]


def test_without_a_region_or_credentials_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(DeploymentError, match="No AWS region is set"):
        open_account(DeployConfig("sluice"))
    with pytest.raises(DeploymentError, match="Sign in first"):
        open_account(DeployConfig("sluice", region="eu-west-1"))
    with pytest.raises(DeploymentError, match="Sign in first"):
        open_account(DeployConfig("sluice", region="eu-west-1", profile="nobody"))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Secrets Manager, where a stack "shop" has a secret; and a table."""
    outputs = {"ClaudeSecretId": {"Value": "shop-secret"}, "TableName": {"Value": "shop-table"}}
    body = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs})
    with mock_aws():
        client = boto3.client("secretsmanager", "us-east-1")
        client.create_secret(Name="shop-secret", SecretString="put-the-key-here")
        boto3.client("cloudformation", "us-east-1").create_stack(StackName="shop", TemplateBody=body)
        create_table(template(), boto3.client("dynamodb", "us-east-1"), "shop-table")
        for module in (claude_key, client_keys):
            monkeypatch.setattr(module, "read_config", lambda: DeployConfig("shop", region="us-east-1"))
        yield client


def text_of(secrets: Any) -> str:
    return str(secrets.get_secret_value(SecretId="shop-secret")["SecretString"])


def test_the_key_of_claude_goes_from_standard_input_into_the_secret_of_the_stack(
    secrets: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-ant-mine\n"))
    assert claude_key.main(None) == 0
    assert text_of(secrets) == "sk-ant-mine"
    assert "sk-ant-mine" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("typed", ["", "\n", "two words\n", "schlüssel\n", "sk-sluice-4f7k2m9q\n"])
def test_what_is_no_key_of_claude_changes_nothing(
    secrets: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert claude_key.main(None) == 1
    assert text_of(secrets) == "put-the-key-here"
    assert "othing was changed" in capsys.readouterr().err


def test_a_client_key_is_made_in_the_table_of_the_stack(secrets: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert client_keys.main(None, ["make", "the web shop"]) == 0
    assert capsys.readouterr().out.startswith("sk-sluice-")
    assert client_keys.main("shop", ["list"]) == 0
    assert "the web shop" in capsys.readouterr().out


def test_a_stack_that_is_not_there_is_told_of(secrets: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert client_keys.main("other", ["list"]) == 1
    assert 'no stack "other"' in capsys.readouterr().err
    with pytest.raises(DeploymentError, match="has no Nothing"):
        stack_output(open_account(DeployConfig("shop", region="us-east-1")), "shop", "Nothing")


def test_the_regions_without_function_urls_are_in_the_documents() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert [region for region in sorted(account.WITHOUT_FUNCTION_URLS) if f"`{region}`" not in page] == []
