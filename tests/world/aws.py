"""The stack's own AWS resources, made in moto from template.yaml itself, so that tests cannot drift from it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from moto import mock_aws

from local.template import Template, load_template
from sluice.aws.dynamodb import Table

ACCOUNT = "123456789012"
REGION = "us-east-1"
STACK = "sluice"
CLAUDE_KEY = "sk-ant-simulator"
# The base64 of 24 bytes, as letters and digits alone always are.
WEBHOOK_KEY = "TheKeyThatCallbacksAreSignedWith"

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
    # As the functions have it: links are signed by it.
    config = Config(signature_version="s3v4") if service == "s3" else None
    return _make_client(boto3.Session(), service, config=config)


@contextmanager
def moto_table() -> Iterator[Table]:
    """The table alone, in process."""
    with mock_aws():
        yield create_table(template(), client("dynamodb"))


@dataclass(frozen=True)
class Resources:
    """The resources of the template that functions reach; ``ids`` is what ``Ref`` gives, by logical name."""

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


def create_resources(parameters: Mapping[str, str], client: Callable[[str], Any] = client) -> Resources:
    """Make the resources, in the moto that is active if not told otherwise; parameters replace the defaults."""
    create_table(template(), client("dynamodb"))
    s3, sqs, secrets = client("s3"), client("sqs"), client("secretsmanager")
    ids = {"Table": STACK}
    for name, bucket in template().of_type("AWS::S3::Bucket").items():
        ids[name] = f"{STACK}-{name.lower()}-{ACCOUNT}-{REGION}"
        s3.create_bucket(Bucket=ids[name])
        if versioning := bucket.get("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=ids[name], VersioningConfiguration=versioning)
    for name in template().of_type("AWS::SQS::Queue"):
        ids[name] = sqs.create_queue(QueueName=f"{STACK}-{name}")["QueueUrl"]
    for name in template().of_type("AWS::SNS::Topic"):
        ids[name] = client("sns").create_topic(Name=f"{STACK}-{name}")["TopicArn"]
    attributes = {}
    for name, secret in template().of_type("AWS::SecretsManager::Secret").items():
        text = _secret_text(secret)
        made = secrets.create_secret(Name=f"{STACK}-{name}-{uuid.uuid4().hex[:6]}", SecretString=text)
        attributes[name, "Id"] = made["ARN"]
    return Resources(template(), parameters, ids, attributes)


def _secret_text(properties: Mapping[str, Any]) -> str:
    """Write a secret as CloudFormation does: one that it makes up, or else the key of Claude."""
    if not (generated := properties.get("GenerateSecretString")):
        return CLAUDE_KEY
    made_up = {generated["GenerateStringKey"]: WEBHOOK_KEY[: generated["PasswordLength"]]}
    return json.dumps(json.loads(generated["SecretStringTemplate"]) | made_up)
