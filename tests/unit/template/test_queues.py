"""Queues: none loses a message, and none gives one out twice while it is worked on."""

from __future__ import annotations

import pytest

from local.template import Template, load_template

WORK_QUEUES = [name for name, queue in load_template().of_type("AWS::SQS::Queue").items() if "RedrivePolicy" in queue]
DEAD_LETTER_QUEUES = [name for name in load_template().of_type("AWS::SQS::Queue") if name not in WORK_QUEUES]
FOURTEEN_DAYS = 14 * 24 * 3600


def test_each_work_queue_has_a_dead_letter_queue_of_its_own(template: Template) -> None:
    queues = template.of_type("AWS::SQS::Queue")
    targets = [queues[name]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] for name in WORK_QUEUES]
    assert sorted(targets) == sorted(DEAD_LETTER_QUEUES)


@pytest.mark.parametrize("name", [*WORK_QUEUES, *DEAD_LETTER_QUEUES])
def test_a_queue_is_encrypted_and_keeps_messages_as_long_as_it_can(template: Template, name: str) -> None:
    queue = template.of_type("AWS::SQS::Queue")[name]
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == FOURTEEN_DAYS


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_a_message_stays_hidden_for_six_times_as_long_as_its_function_may_run(template: Template, queue: str) -> None:
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    [source] = [source for source in sources if source["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}]
    function = template.functions[source["FunctionName"]["Ref"]]
    assert template.of_type("AWS::SQS::Queue")[queue]["VisibilityTimeout"] >= 6 * function["Timeout"]


@pytest.mark.parametrize("name", WORK_QUEUES)
def test_an_alarm_watches_the_dead_letter_queue(template: Template, name: str) -> None:
    target = template.of_type("AWS::SQS::Queue")[name]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    dimension = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [target, "QueueName"]}}]
    alarms = template.of_type("AWS::CloudWatch::Alarm").values()
    [alarm] = [one for one in alarms if one.get("Dimensions") == dimension]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


@pytest.mark.parametrize("name", load_template().of_type("AWS::Lambda::EventSourceMapping"))
def test_a_failed_message_does_not_take_others_with_it(template: Template, name: str) -> None:
    source = template.of_type("AWS::Lambda::EventSourceMapping")[name]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("function", ["PlanJob", "SubmitShard", "CollectShard", "FinishJob"])
def test_a_step_of_a_job_has_an_invocation_to_itself(template: Template, function: str) -> None:
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    assert [source["BatchSize"] for source in sources if source["FunctionName"] == {"Ref": function}] == [1]


@pytest.mark.parametrize(
    ("function", "parameter"),
    [
        *((function, "JobConcurrency") for function in ("PlanJob", "SubmitShard", "CollectShard", "FinishJob")),
        *((function, "TaskConcurrency") for function in ("RunTask", "DeliverCallback")),
    ],
)
def test_the_copies_that_a_queue_runs_at_once_are_limited_for_accounts_of_any_size(
    template: Template, function: str, parameter: str
) -> None:
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    [source] = [source for source in sources if source["FunctionName"] == {"Ref": function}]
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": parameter}}
    # Lambda: Configuring maximum concurrency for Amazon SQS event sources.
    limits = template.parameters[parameter]
    assert (limits["MinValue"], limits["MaxValue"]) == (2, 1000)


@pytest.mark.parametrize("queue", ["PlanQueue", "TaskQueue", "CallbackQueue"])
def test_an_alarm_watches_how_long_a_message_has_waited(template: Template, queue: str) -> None:
    dimension = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    alarms = template.of_type("AWS::CloudWatch::Alarm").values()
    [alarm] = [one for one in alarms if one.get("Dimensions") == dimension]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateAgeOfOldestMessage")
    assert alarm["Statistic"] == "Maximum"
    # The longest delay of a message (SQS), and the longest work on one.
    sources = template.of_type("AWS::Lambda::EventSourceMapping").values()
    [source] = [source for source in sources if source["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}]
    assert alarm["Threshold"] > 900 + template.functions[source["FunctionName"]["Ref"]]["Timeout"]
