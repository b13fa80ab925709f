"""What the task door makes of the resources: the variables of its functions, and a queue behind the topic."""

from __future__ import annotations

import base64

import boto3

from tests.world.aws import WEBHOOK_KEY, Resources

CURRENT_SECRET = f"whsec_{WEBHOOK_KEY}"
NEXT_SECRET = "whsec_" + base64.b64encode(b"the next key, of 32 bytes too ..").decode()


def environment_of(resources: Resources) -> dict[str, str]:
    """Return the variables of the three functions together, since they run in one process here."""
    functions = ("ServeApi", "RunTask", "DeliverCallback")
    return {name: value for each in functions for name, value in resources.environment(each).items()}


def subscribe_queue(resources: Resources) -> str:
    """Subscribe a queue to the completion topic; return its URL."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="notices")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=resources.ids["CompletionTopic"], Protocol="sqs", Endpoint=arn)
    return url
