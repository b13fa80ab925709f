"""Parameters and outputs: each explained, none needed to try the stack."""

from __future__ import annotations

import re

import pytest

from local.template import Template, load_template


@pytest.mark.parametrize("name", load_template().parameters)
def test_a_parameter_is_described_and_has_a_default_that_it_allows(template: Template, name: str) -> None:
    parameter = template.parameters[name]
    default = parameter["Default"]
    assert parameter["Description"].endswith(".")
    if "AllowedValues" in parameter:
        assert default in parameter["AllowedValues"]
    if "AllowedPattern" in parameter:
        assert re.fullmatch(parameter["AllowedPattern"], default)
    if parameter["Type"] == "Number":
        assert parameter.get("MinValue", default) <= default <= parameter.get("MaxValue", default)


def test_every_parameter_is_in_a_group_of_the_form(template: Template) -> None:
    groups = template.body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(template.parameters)


def test_every_parameter_is_used(template: Template) -> None:
    used = str({section: body for section, body in template.body.items() if section not in ("Metadata", "Parameters")})
    for name in template.parameters:
        assert f"'Ref': '{name}'" in used or f"${{{name}}}" in used, name


def test_no_parameter_is_a_secret(template: Template) -> None:
    """SAM asks for one until it is not empty, never keeps it, and each deployment writes it over the live one."""
    assert [name for name, parameter in template.parameters.items() if "NoEcho" in parameter] == []


def test_a_deployment_leaves_the_key_of_claude_alone(template: Template) -> None:
    # CloudFormation updates a resource whose properties have changed: these never do, whatever was put there since.
    assert template.resources["ClaudeSecret"]["Properties"]["SecretString"] == "put-the-key-here"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ClaudeBaseUrl", "https://api.anthropic.com", True),
        ("ClaudeBaseUrl", "https://proxy.example.com:8443", True),
        ("ClaudeBaseUrl", "http://127.0.0.1:9000", True),
        ("ClaudeBaseUrl", "http://localhost", True),
        ("ClaudeBaseUrl", "http://api.anthropic.com", False),
        ("ClaudeBaseUrl", "http://127.0.0.1.example.com", False),
        ("ClaudeBaseUrl", "http://localhost:80@example.com", False),
        ("ClaudeBaseUrl", "https://api.anthropic.com/v1", False),
        ("EventBus", "shop-events", True),
        ("EventBus", "aws.partner/example.com/1", True),
        ("EventBus", "", False),
        ("EventBus", "arn:aws:events:eu-west-1:1:event-bus/shop", False),
        ("EventBus", "*", False),
        ("Operators", "ops-*, arn:aws:iam::111122223333:role/on-call", True),
        ("Operators", "a b", False),
        ("Operators", "a,", False),
    ],
)
def test_a_value_that_would_do_harm_or_fail_late_is_refused(
    template: Template, name: str, value: str, allowed: bool
) -> None:
    assert bool(re.fullmatch(template.parameters[name]["AllowedPattern"], value)) == allowed


def test_the_runtimes_and_processors_are_those_that_the_layers_can_be_built_for(template: Template) -> None:
    runtimes = template.parameters["PythonRuntime"]["AllowedValues"]
    assert runtimes == [f"python3.{minor}" for minor in (11, 12, 13, 14)]
    assert template.parameters["Architecture"]["AllowedValues"] == ["arm64", "x86_64"]


def test_there_is_an_output_for_every_door_bucket_and_queue(template: Template) -> None:
    values = [output["Value"] for output in template.body["Outputs"].values()]
    for name in ("Inbox", "Outbox", "Table", "CompletionTopic", *template.of_type("AWS::SQS::Queue")):
        assert {"Ref": name} in values


@pytest.mark.parametrize(("output", "function"), [("StreamUrl", "StreamMessages"), ("ApiUrl", "ServeApi")])
def test_the_url_of_a_door_takes_a_path_behind_it_as_it_is(template: Template, output: str, function: str) -> None:
    parts = {"Fn::Split": ["/", {"Fn::GetAtt": [f"{function}Url", "FunctionUrl"]}]}
    value = template.body["Outputs"][output]["Value"]
    assert value == {"Fn::Sub": ["https://${Domain}", {"Domain": {"Fn::Select": [2, parts]}}]}
