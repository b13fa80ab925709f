"""What the policies of the template let each function do, held against each call of AWS that it makes in a test.

The emulator passes over ``dynamodb:LeadingKeys``, and moto over policies as a whole: without this, a right that is
missing would show in an account of AWS for the first time. Resources go by their names in the template here. Which
action a call needs is in AWS's service authorization reference; a call that is not known here is one refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from local.template import Template
from tests.world.aws import Resources

_ITEM_OF_CALL = {"GetItem": "Key", "UpdateItem": "Key", "PutItem": "Item", "DeleteItem": "Key"}
_OF_TRANSACTIONS = {"Put": ("PutItem", "Item"), "Update": ("UpdateItem", "Key"), "Delete": ("DeleteItem", "Key")}
# S3: Multipart upload API and permissions.
_S3_WRITES = (
    "PutObject",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
)
_S3_READS = ("GetObject", "HeadObject")
_S3_OTHERS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "ListObjectVersions": "ListBucketVersions",
}
_SQS = {name: name for name in ("SendMessage", "ChangeMessageVisibility")} | {"SendMessageBatch": "SendMessage"}
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion"})


@dataclass(frozen=True, slots=True)
class Need:
    """An action on a resource such as "Outbox/work/a" or "Table/index/open", and the partition of a table's items."""

    action: str
    resource: str
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """A permission for what a pattern of resources names; of a table, for partitions that ``partitions`` name."""

    action: str
    resource: str
    partitions: tuple[str, ...] = ("",)

    def allows(self, need: Need) -> bool:
        return (
            self.action == need.action
            and _matches(need.resource, self.resource)
            and any(_matches(need.partition, each) for each in self.partitions)
        )


def rights_of(template: Template, function: str) -> Iterator[Right]:
    """Yield what the policies of a function such as "PlanJob" allow."""
    for policy in template.functions[function]["Policies"]:
        for statement in policy["Statement"]:
            conditions = statement.get("Condition", {}).values()
            partitions = tuple(each for keys in conditions for each in keys["dynamodb:LeadingKeys"]) or ("",)
            resources = statement["Resource"]
            for resource in resources if isinstance(resources, list) else [resources]:
                for action in statement["Action"]:
                    yield Right(action, _name_of(resource), partitions)


def _name_of(resource: Any) -> str:
    """Name a resource of a statement as calls are named."""
    match resource:
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return str(name)
        case {"Fn::If": [_, made, _]}:
            return _name_of(made)
        case {"Fn::Sub": str(text)}:
            # All but a bus is of a resource in this template; that is named by its parameter.
            own = re.sub(r"\$\{(\w+)(?:\.Arn)?\}", r"\1", text)
            return own.rpartition("/")[2] if own.startswith("arn:") else own
    raise ValueError(f"{resource!r} is a resource that is not known here.")


def _matches(value: str, pattern: str) -> bool:
    # IAM knows * and ?, fnmatch a set in brackets besides.
    return fnmatchcase(value, pattern.replace("[", "[[]"))


@dataclass(frozen=True, slots=True)
class Needs:
    """What calls need, by the names that the resources have in a test."""

    resources: Resources

    def of_call(self, name: str, params: Mapping[str, Any], error_code: str = "") -> Iterator[Need]:
        """Yield what a call such as "s3.PutObject" needs. Raises ValueError for a call that is not known.

        What is not of the stack, such as a queue that a test has put in its place, has an empty name.
        """
        service, _, operation = name.partition(".")
        match service:
            case "dynamodb":
                yield from self._of_table(operation, params)
            case "s3":
                yield from self._of_bucket(operation, params, error_code)
            case "sqs" if operation in _SQS:
                yield Need(f"sqs:{_SQS[operation]}", self._name(params["QueueUrl"]))
            case "sns" if operation == "Publish":
                yield Need("sns:Publish", self._name(params["TopicArn"]))
                # SNS: Configuring KMS permissions. Of whoever publishes to a topic that a key of one's own encrypts.
                yield from (Need(f"kms:{action}", "TopicKey") for action in ("GenerateDataKey", "Decrypt"))
            case "events" if operation == "PutEvents":
                yield from (Need("events:PutEvents", "EventBus") for _ in params["Entries"])
            case "secretsmanager" if operation == "GetSecretValue":
                yield Need("secretsmanager:GetSecretValue", self._secret(params["SecretId"]))
            case _:
                raise ValueError(f"{name}: what it needs is not known to tests/world/rights.py.")

    def _of_table(self, operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
        if where := _ITEM_OF_CALL.get(operation):
            yield self._of_item(operation, params, where)
        elif operation == "Query":
            index = params.get("IndexName")
            table = self._name(params["TableName"]) + (f"/index/{index}" if index else "")
            yield Need("dynamodb:Query", table, params["ExpressionAttributeValues"][":pk"]["S"])
        elif operation == "TransactWriteItems":
            for item in params["TransactItems"]:
                [(kind, write)] = item.items()
                action, where = _OF_TRANSACTIONS[kind]
                yield self._of_item(action, write, where)
        else:
            raise ValueError(f"dynamodb.{operation}: what it needs is not known to tests/world/rights.py.")

    def _of_item(self, action: str, params: Mapping[str, Any], where: str) -> Need:
        return Need(f"dynamodb:{action}", self._name(params["TableName"]), params[where]["pk"]["S"])

    def _of_bucket(self, operation: str, params: Mapping[str, Any], error_code: str) -> Iterator[Need]:
        bucket = self._name(params["Bucket"])
        if operation in _S3_READS:
            yield self._of_read(params)
            if error_code in _MISSING:
                # S3: GetObject. Without it, what is not there reads as forbidden.
                yield Need("s3:ListBucket", bucket)
        elif operation in _S3_WRITES:
            yield Need("s3:PutObject", f"{bucket}/{params['Key']}")
            if operation in ("UploadPartCopy", "CopyObject"):
                yield self._of_read(params["CopySource"])
        elif operation == "DeleteObjects":
            for each in params["Delete"]["Objects"]:
                action = "DeleteObjectVersion" if each.get("VersionId") else "DeleteObject"
                yield Need(f"s3:{action}", f"{bucket}/{each['Key']}")
        elif operation in _S3_OTHERS:
            object_name = f"/{params['Key']}" if "Key" in params else ""
            yield Need(f"s3:{_S3_OTHERS[operation]}", f"{bucket}{object_name}")
        else:
            raise ValueError(f"s3.{operation}: what it needs is not known to tests/world/rights.py.")

    def _of_read(self, params: Mapping[str, Any] | str) -> Need:
        if isinstance(params, str):
            # As botocore leaves the source of a copy.
            bucket, _, key = unquote(params).partition("/")
            params = {"Bucket": bucket, "Key": key}
        action = "s3:GetObjectVersion" if params.get("VersionId") else "s3:GetObject"
        return Need(action, f"{self._name(params['Bucket'])}/{params['Key']}")

    def _name(self, physical: str) -> str:
        return next((name for name, each in self.resources.ids.items() if each == physical), "")

    def _secret(self, secret_id: str) -> str:
        return next((name for (name, _), each in self.resources.attributes.items() if each == secret_id), "")


@dataclass
class Rights:
    """Watches calls, and keeps those that AWS would refuse to the function that made them."""

    resources: Resources
    refused: list[tuple[str, Need]] = field(default_factory=list)
    _function: str | None = None
    _rights: dict[str, tuple[Right, ...]] = field(default_factory=dict)

    @contextmanager
    def of(self, function: str | None) -> Iterator[None]:
        """Calls in this block are those of a function such as "plan_job", or nobody's. Raises AssertionError for one
        refused."""
        before, self._function = self._function, function
        try:
            yield
        finally:
            self._function = before
        self.check()

    def check(self) -> None:
        """Raise AssertionError where a call would have been refused."""
        refused, self.refused = self.refused, []
        assert refused == [], f"AWS would refuse this by the policies of template.yaml: {refused}"

    def watch(self, name: str, params: Mapping[str, Any], error_code: str = "") -> None:
        """Hold a call such as "s3.PutObject" against the policies of the function that is running."""
        if self._function is not None:
            self.watch_function(self._function, name, params, error_code)

    def watch_function(self, function: str, name: str, params: Mapping[str, Any], error_code: str = "") -> None:
        """Hold a call of one function against its policies."""
        logical = "".join(part.title() for part in function.split("_"))
        if logical not in self._rights:
            self._rights[logical] = tuple(rights_of(self.resources.template, logical))
        for need in Needs(self.resources).of_call(name, params, error_code):
            of_stack = bool(need.resource.partition("/")[0])
            allowed = not of_stack or any(right.allows(need) for right in self._rights[logical])
            if not allowed and (logical, need) not in self.refused:
                self.refused.append((logical, need))
