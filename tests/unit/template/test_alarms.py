"""Alarms: each reaches a person, and says what to do."""

from __future__ import annotations

import pytest

from local.template import Template, load_template


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
