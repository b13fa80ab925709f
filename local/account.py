"""The AWS account that a stack is deployed to: who asks, what the stack has put out, and what would not work there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.samconfig import DeployConfig

# Lambda: Creating and managing Lambda function URLs. Nor are there any in China (regions that begin with cn-).
WITHOUT_FUNCTION_URLS = frozenset(
    {
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
    }
)
# CloudFormation: CreateStack, StackName.
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
# An account gets 1,000 unless it is new: then 10, or 50 (Lambda: Quotas).
_FEW_EXECUTIONS = 100
# What reservations must leave (Lambda: Configuring reserved concurrency).
_UNRESERVED = 100


class DeploymentError(Exception):
    """Something is missing before anything can be deployed or found; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose credentials are used, where; ``client`` gives boto3's clients for it."""

    session: Any
    arn: str
    region: str

    def client(self, service: str) -> Any:
        return self.session.client(service)


def open_account(config: DeployConfig) -> Account:
    """Find credentials and a region as SAM does. Raises DeploymentError."""
    try:
        session = boto3.Session(profile_name=config.profile, region_name=config.region)
        region = session.region_name
        if not region:
            raise DeploymentError("No AWS region is set. Choose one: export AWS_REGION=us-east-1, or aws configure.")
        arn = str(session.client("sts", region_name=region).get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(
            f"AWS cannot be called: {error} Sign in first, for instance with aws configure or aws sso login, "
            "or name a profile: export AWS_PROFILE=…"
        ) from error
    return Account(session, arn, region)


def stack_output(account: Account, stack: str, name: str) -> str:
    """Read an output of a deployed stack. Raises DeploymentError where there is none."""
    try:
        described = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(
            f'There is no stack "{stack}" to be read in {account.region}: {error} '
            "Deploy it first (make deploy), or name another: STACK=…, AWS_REGION=…"
        ) from error
    for output in described.get("Outputs", []):
        if output["OutputKey"] == name:
            return str(output["OutputValue"])
    raise DeploymentError(f'The stack "{stack}" in {account.region} has no {name}: its deployment has not finished.')


def obstacles(stack: str, region: str) -> Iterator[str]:
    """Yield what makes a deployment fail for certain."""
    if not _STACK_NAME.fullmatch(stack):
        yield f'"{stack}" cannot be the name of a stack: a letter, then letters, digits and hyphens, 128 at most.'
    if region in WITHOUT_FUNCTION_URLS or region.startswith("cn-"):
        yield f"Lambda has no Function URLs in {region}, which both doors are. Choose another region: AWS_REGION=…"


def concurrency_warnings(limit: int, answers: Mapping[str, str]) -> Iterator[str]:
    """Yield what to know where an account may run ``limit`` functions at the same time, with these parameters."""
    if limit < _FEW_EXECUTIONS:
        yield (
            f"This account may run {limit} functions at the same time; jobs and tasks could take all of them, and "
            "callers would be answered 429. Ask for more first: Service Quotas, AWS Lambda, Concurrent executions "
            "(1,000 is usual, and free). Until then: JobConcurrency=2, TaskConcurrency=2."
        )
    reserved = int(answers.get("StreamConcurrency") or 0)
    if reserved and limit - reserved < _UNRESERVED:
        yield (
            f"StreamConcurrency={reserved} takes that many from the {limit} of this account, and AWS wants "
            f"{_UNRESERVED} to remain: the deployment would be rolled back. 0 reserves none."
        )
