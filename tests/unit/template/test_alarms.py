"""Alarms: each reaches a person, and says what to do."""

from __future__ import annotations

import re

import pytest

from local.template import ROOT, Template, load_template


@pytest.mark.parametrize("name", load_template().of_type("AWS::CloudWatch::Alarm"))
def test_an_alarm_reaches_the_topic_and_is_quiet_without_data(template: Template, name: str) -> None:
    alarm = template.of_type("AWS::CloudWatch::Alarm")[name]
    assert alarm["AlarmActions"] == [{"Ref": "CompletionTopic"}]
    assert alarm["TreatMissingData"] == "notBreaching"
    assert "See " in alarm["AlarmDescription"]["Fn::Sub"]


@pytest.mark.parametrize("metric", ["TotalsMismatch", "Defects", "JobsNotTended"])
def test_what_functions_count_themselves_is_an_alarm(template: Template, metric: str) -> None:
    alarm = template.resources[f"{metric}Alarm"]["Properties"]
    assert alarm["MetricName"] == metric
    metrics = template.body["Globals"]["Function"]["Environment"]["Variables"]
    assert alarm["Namespace"] == metrics["POWERTOOLS_METRICS_NAMESPACE"]
    # Powertools adds the service to every metric, and CloudWatch counts each set of dimensions by itself.
    assert alarm["Dimensions"] == [{"Name": "service", "Value": metrics["POWERTOOLS_SERVICE_NAME"]}]


def test_mail_is_sent_only_to_an_address_that_was_given(template: Template) -> None:
    assert template.parameters["NotificationEmail"]["Default"] == ""
    assert template.resources["MailSubscription"]["Condition"] == "HasNotificationEmail"


def test_no_answer_of_a_task_is_mailed(template: Template) -> None:
    properties = template.resources["MailSubscription"]["Properties"]

    assert properties["FilterPolicy"] == {"topic_attribute": [{"exists": False}]}


@pytest.mark.parametrize(
    ("words", "kind", "dollars"),
    [("alarms", "AWS::CloudWatch::Alarm", 0.1), ("a key", "AWS::KMS::Key", 1.0)],
)
def test_what_an_idle_stack_costs_is_said_as_it_is(template: Template, words: str, kind: str, dollars: float) -> None:
    (said,) = re.findall(rf"\b{words} \$(\d+(?:\.\d+)?)", (ROOT / "docs/costs.md").read_text())
    assert float(said) == pytest.approx(len(template.of_type(kind)) * dollars)


def test_the_secrets_and_queues_of_an_idle_stack_cost_what_is_said(template: Template) -> None:
    text = (ROOT / "docs/costs.md").read_text()
    assert len(template.of_type("AWS::SecretsManager::Secret")) == 2
    assert "two secrets $0.80" in text
    # Lambda polls each queue of a mapping with five long polls of 20 s, SQS takes $0.40 a million calls but the first.
    calls = 5 * (30 * 24 * 3600 / 20) * len(template.of_type("AWS::Lambda::EventSourceMapping"))
    (said,) = re.findall(r"looks into empty queues \$(\d+\.\d+)", text)
    assert float(said) == pytest.approx(calls * 0.4e-6, rel=0.05)
