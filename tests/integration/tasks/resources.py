"""The resources of the task door, in moto, and the environment that leads its functions to them."""

from __future__ import annotations

import base64
import json

import boto3

from tests.world.aws import STACK, create_table, template

CURRENT_SECRET = "whsec_" + base64.b64encode(b"the current key, of 32 bytes ...").decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"the next key, of 32 bytes too ..").decode()


def create_resources(claude_url: str) -> dict[str, str]:
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    create_table(template(), boto3.client("dynamodb"))
    boto3.client("s3").create_bucket(Bucket="outbox")
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="claude", SecretString="sk-ant-simulator")
    secrets.create_secret(Name="webhook", SecretString=json.dumps({"current": CURRENT_SECRET, "previous": None}))
    urls = {name: sqs.create_queue(QueueName=name.lower())["QueueUrl"] for name in ("TASK", "CALLBACK", "NOTICES")}
    topic_arn = sns.create_topic(Name="completion")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=urls["NOTICES"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    return {
        "SLUICE_TABLE": STACK,
        "SLUICE_OUTBOX": "outbox",
        "SLUICE_TOPIC_ARN": topic_arn,
        "SLUICE_TASK_QUEUE_URL": urls["TASK"],
        "SLUICE_CALLBACK_QUEUE_URL": urls["CALLBACK"],
        "SLUICE_CLAUDE_SECRET": "claude",
        "SLUICE_CLAUDE_BASE_URL": claude_url,
        "SLUICE_WEBHOOK_SECRET": "webhook",
        "SLUICE_DEFAULT_MODEL": "claude-haiku-5-5",
        "SLUICE_CALLBACK_LOCAL": "http://127.0.0.1",
        "NOTIFICATIONS": urls["NOTICES"],
        "POWERTOOLS_SERVICE_NAME": "sluice",
        "POWERTOOLS_METRICS_NAMESPACE": "Sluice",
    }
