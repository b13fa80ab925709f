"""The stack's own AWS resources, made in moto from template.yaml itself, so that tests cannot drift from it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from moto import mock_aws

from local.template import Template, load_template
from sluice.aws.dynamodb import Table

ACCOUNT = "123456789012"
REGION = "us-east-1"
STACK = "sluice"
CLAUDE_KEY = "sk-ant-simulator"

# As it is now: tests put the cached one in its place.
_make_client: Any = boto3.session.Session.client
_TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


def create_table(template: Template, dynamodb: Any, name: str = STACK) -> Table:
    """Make the one table, with its keys and its index, as the template says."""
    properties = template.resources["Table"]["Properties"]
    dynamodb.create_table(TableName=name, **{each: properties[each] for each in _TABLE_PROPERTIES})
    return Table(dynamodb, name, sleep=lambda _: None)


@cache
def template() -> Template:
    """The template, which takes a second to read."""
    return load_template()


@cache
def client(service: str) -> Any:
    """A client for all tests: making one takes longer than many a test, and each speaks to the moto of the day."""
    return _make_client(boto3.Session(), service)


@contextmanager
def moto_table() -> Iterator[Table]:
    """The table alone, in process."""
    with mock_aws():
        yield create_table(template(), client("dynamodb"))


@dataclass(frozen=True)
class Stack:
    """All resources of the template that the jobs use; ``ids`` is what ``Ref`` gives, by logical name."""

    template: Template
    parameters: Mapping[str, str]
    ids: Mapping[str, str]
    attributes: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def environment(self, function: str) -> dict[str, str]:
        """The variables of a function, just those that the template gives it."""
        return {name: str(self._resolve(value)) for name, value in self.template.environment(function).items()}

    def queue_named(self, url: str) -> str:
        return next(name for name, each in self.ids.items() if each == url)

    def _resolve(self, value: Any) -> Any:
        match value:
            case {"Ref": "AWS::StackName"}:
                return STACK
            case {"Ref": name} if name in self.ids:
                return self.ids[name]
            case {"Ref": name}:
                return self.parameters.get(name, self.template.parameters[name]["Default"])
            case {"Fn::GetAtt": [name, attribute]}:
                return self.attributes[name, attribute]
            case {"Fn::If": [_, yes, _]}:
                return self._resolve(yes)
            case _:
                return value


def build_stack(parameters: Mapping[str, str]) -> Stack:
    """Make the resources in the moto that is active, with parameters in place of the template's defaults."""
    create_table(template(), boto3.client("dynamodb"))
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    ids = {"Table": STACK}
    for name, bucket in template().of_type("AWS::S3::Bucket").items():
        ids[name] = f"{STACK}-{name.lower()}-{ACCOUNT}-{REGION}"
        s3.create_bucket(Bucket=ids[name])
        if versioning := bucket.get("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=ids[name], VersioningConfiguration=versioning)
    for name in template().of_type("AWS::SQS::Queue"):
        ids[name] = sqs.create_queue(QueueName=f"{STACK}-{name}")["QueueUrl"]
    ids["CompletionTopic"] = boto3.client("sns").create_topic(Name=STACK)["TopicArn"]
    secrets = boto3.client("secretsmanager")
    attributes = {}
    for name in template().of_type("AWS::SecretsManager::Secret"):
        made = secrets.create_secret(Name=f"{STACK}-{name}-{uuid.uuid4().hex[:6]}", SecretString=CLAUDE_KEY)
        attributes[name, "Id"] = made["ARN"]
    return Stack(template(), parameters, ids, attributes)
