"""Functions: what runs them, what they are told, what they leave behind."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from local.template import ROOT, Template, load_template
from sluice.settings import JobSettings, StreamSettings, TaskSettings

FUNCTIONS = list(load_template().functions)
# Lambda: Quotas.
MEMORY_MB = range(128, 10241)
TIMEOUT_SECONDS = range(1, 901)
DISK_MB = range(512, 10241)

READERS: dict[str, Callable[[Mapping[str, str]], object]] = {
    "StreamMessages": StreamSettings.from_env,
    **dict.fromkeys(
        ("PlanJob", "SubmitShard", "PollBatches", "CollectShard", "FinishJob", "DeleteJob"), JobSettings.from_env
    ),
    **dict.fromkeys(("RunTask", "DeliverCallback"), TaskSettings.from_env),
}
# The task door also releases and cancels jobs.
READERS["ServeApi"] = lambda environ: (TaskSettings.from_env(environ), JobSettings.from_env(environ))


class Asked(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        if name in {"SLUICE_TABLE", "SLUICE_CLAUDE_SECRET"}:
            return "something"
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def names_read_by(reader: Callable[[Mapping[str, str]], object]) -> set[str]:
    asked = Asked()
    reader(asked)
    return {name for name in asked.names if name.startswith("SLUICE_")}


def folder(function: str) -> str:
    return "functions/" + re.sub(r"(?<!^)(?=[A-Z])", "_", function).lower()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_the_folder_of_its_name(template: Template, function: str) -> None:
    assert template.functions[function]["CodeUri"] == folder(function)
    assert (ROOT / folder(function) / "handler.py").is_file()


def test_every_handler_is_deployed() -> None:
    deployed = {folder(function) for function in FUNCTIONS}
    assert {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("functions/*/handler.py")} == deployed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_told_nothing_that_its_settings_do_not_read(template: Template, function: str) -> None:
    told = {name for name in template.environment(function) if name.startswith("SLUICE_")}
    assert told - names_read_by(READERS[function]) == set()


@pytest.mark.parametrize("reader", [JobSettings.from_env, StreamSettings.from_env, TaskSettings.from_env])
def test_every_setting_reaches_a_function_that_reads_it(
    template: Template, reader: Callable[[Mapping[str, str]], object]
) -> None:
    readers = [function for function in FUNCTIONS if names_read_by(reader) <= names_read_by(READERS[function])]
    told = set().union(*(template.environment(function) for function in readers))
    assert names_read_by(reader) - told == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_value_that_a_parameter_gives_has_the_name_of_the_parameter(template: Template, function: str) -> None:
    for name, value in template.environment(function).items():
        parameter = value.get("Ref") if isinstance(value, dict) else None
        if name.startswith("SLUICE_") and parameter in template.parameters:
            assert parameter == "".join(word.title() for word in name.removeprefix("SLUICE_").split("_"))


@pytest.mark.parametrize("settings", [JobSettings, StreamSettings, TaskSettings])
def test_a_setting_has_the_default_of_the_parameter_that_gives_it(template: Template, settings: type[Any]) -> None:
    given = {name: value for function in FUNCTIONS for name, value in template.environment(function).items()}
    compared = 0
    for field in dataclasses.fields(settings):
        value = given.get(f"SLUICE_{field.name.upper()}")
        parameter = value.get("Ref", "") if isinstance(value, dict) else ""
        if parameter in template.parameters:
            default = template.parameters[parameter]["Default"]
            # A list is empty, or its items with commas between.
            assert (",".join(field.default) if isinstance(field.default, tuple) else field.default) == default, field
            compared += 1
    assert compared >= 8


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_secret_is_in_the_environment_of_a_function(template: Template, function: str) -> None:
    for name, value in template.environment(function).items():
        assert "Key" not in str(value), name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_stays_within_the_limits_of_lambda(template: Template, function: str) -> None:
    properties = template.functions[function]
    assert properties["MemorySize"] in MEMORY_MB
    assert properties["Timeout"] in TIMEOUT_SECONDS
    assert properties.get("EphemeralStorage", {"Size": 512})["Size"] in DISK_MB
    assert len(template.layers(function)) <= 5


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_log_of_a_function_is_kept_for_the_days_that_were_asked_for(template: Template, function: str) -> None:
    log_group = template.functions[function]["LoggingConfig"]["LogGroup"]["Ref"]
    properties = template.of_type("AWS::Logs::LogGroup")[log_group]
    assert properties["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambda_filters_logs_at_the_level_that_was_asked_for_and_never_metrics(
    template: Template, function: str
) -> None:
    """Lambda: Log-level filtering. A metric in the embedded format has no level, and counts as INFO."""
    logging = {**template.body["Globals"]["Function"]["LoggingConfig"], **template.functions[function]["LoggingConfig"]}
    assert logging["LogFormat"] == "JSON"
    assert logging["ApplicationLogLevel"] == {"Ref": "LogLevel"}
    assert set(template.parameters["LogLevel"]["AllowedValues"]) <= {"TRACE", "DEBUG", "INFO"}
    assert template.environment(function)["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_alarm_watches_the_errors_of_a_function(template: Template, function: str) -> None:
    assert alarm_of(template, function, "Errors")["Statistic"] == "Sum"


@pytest.mark.parametrize("function", ["StreamMessages", "ServeApi", "PollBatches"])
def test_an_alarm_watches_the_throttles_of_a_function_that_no_queue_waits_for(
    template: Template, function: str
) -> None:
    """Ten concurrent executions are the quota of a new account; what Lambda does not run does not fail either."""
    assert alarm_of(template, function, "Throttles")["Threshold"] == 0
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    assert {"Ref": function} not in [source["FunctionName"] for source in sources]


def alarm_of(template: Template, function: str, metric: str) -> Mapping[str, Any]:
    dimension = [{"Name": "FunctionName", "Value": {"Ref": function}}]
    alarms = template.of_type("AWS::CloudWatch::Alarm").values()
    [alarm] = [one for one in alarms if one.get("Dimensions") == dimension and one["MetricName"] == metric]
    assert alarm["Namespace"] == "AWS/Lambda"
    return alarm


def invoked_by(template: Template, function: str) -> set[str]:
    """The functions whose queues a function may send to, by its policies."""
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    invoked = {source["EventSourceArn"]["Fn::GetAtt"][0]: source["FunctionName"]["Ref"] for source in sources}
    allowed: list[Any] = []
    for policy in template.functions[function]["Policies"]:
        for statement in policy["Statement"]:
            if "sqs:SendMessage" in statement["Action"]:
                resource = statement["Resource"]
                allowed.extend(resource if isinstance(resource, list) else [resource])
    return {invoked[resource["Fn::GetAtt"][0]] for resource in allowed}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambda_lets_a_function_recur_if_and_only_if_its_messages_can_come_back_to_it(
    template: Template, function: str
) -> None:
    """By default the 17th invocation in a chain is dropped (Lambda: Use recursive loop detection to prevent loops)."""
    reached: set[str] = set()
    found = invoked_by(template, function)
    while found - reached:
        reached |= found
        found = set().union(*(invoked_by(template, each) for each in reached))
    assert template.functions[function].get("RecursiveLoop") == ("Allow" if function in reached else None)


def test_an_alarm_watches_for_chains_that_lambda_has_cut(template: Template) -> None:
    alarm = template.of_type("AWS::CloudWatch::Alarm")["RecursionAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "RecursiveInvocationsDropped")
    # Without a dimension a metric of Lambda counts all functions of the account (Lambda: Types of metrics).
    assert "Dimensions" not in alarm


def test_the_streaming_function_carries_no_third_party_package(template: Template) -> None:
    assert sorted(template.layers("StreamMessages")) == ["SluiceLayer", "StreamingRuntimeLayer"]


def test_the_streaming_function_streams_through_the_wrapper_of_its_layer(template: Template) -> None:
    assert template.functions["StreamMessages"]["FunctionUrlConfig"]["InvokeMode"] == "RESPONSE_STREAM"
    wrapper = template.environment("StreamMessages")["AWS_LAMBDA_EXEC_WRAPPER"]
    assert (ROOT / "layers/streaming_runtime" / wrapper.removeprefix("/opt/")).is_file()


@pytest.mark.parametrize("function", ["StreamMessages", "ServeApi"])
def test_a_door_is_signed_unless_keys_are_asked_for(template: Template, function: str) -> None:
    assert template.functions[function]["FunctionUrlConfig"]["AuthType"] == {
        "Fn::If": ["DoorsArePublic", "NONE", "AWS_IAM"]
    }
    assert template.parameters["AuthMode"]["Default"] == "iam"


@pytest.mark.parametrize("function", ["StreamMessages", "ServeApi"])
def test_a_public_door_has_both_permissions_and_only_then(template: Template, function: str) -> None:
    permissions = [
        resource
        for resource in template.resources.values()
        if resource["Type"] == "AWS::Lambda::Permission" and resource["Properties"]["FunctionName"] == {"Ref": function}
    ]
    assert {permission["Condition"] for permission in permissions} == {"DoorsArePublic"}
    properties = {permission["Properties"]["Action"]: permission["Properties"] for permission in permissions}
    assert properties["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert properties["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True


def test_the_poller_runs_each_minute_and_is_not_retried(template: Template) -> None:
    poller = template.functions["PollBatches"]
    [event] = poller["Events"].values()
    assert event["Properties"]["Schedule"] == "rate(1 minute)"
    assert poller["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    assert template.schedule_input("PollBatches").startswith("{")


def test_results_are_put_in_order_on_a_disk_that_holds_any_batch(template: Template) -> None:
    assert template.functions["CollectShard"]["EphemeralStorage"] == {"Size": max(DISK_MB)}
