"""Deploy a built template into the emulator with `sam deploy`, and read back what it made."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local import children
from local.build import SAM
from local.emulator import Emulator
from local.template import ROOT

STACK = "sluice"
ARTIFACTS = "sluice-artifacts"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack: its outputs, and the physical names of its resources by their logical ones."""

    outputs: Mapping[str, str]
    names: Mapping[str, str]


def deploy(build: Path, parameters: Mapping[str, str], emulator: Emulator, log_dir: Path) -> Deployment:
    """Deploy a build with these parameters. Raises ChildFailed with the end of SAM's log."""
    emulator.client("s3").create_bucket(Bucket=ARTIFACTS)
    command = [str(SAM), "deploy", "--template-file", str(build / "template.yaml"), "--stack-name", STACK]
    command += ["--s3-bucket", ARTIFACTS, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    command += ["--no-progressbar", "--region", emulator.environ["AWS_DEFAULT_REGION"], "--parameter-overrides"]
    command += [f"ParameterKey={name},ParameterValue={json.dumps(value)}" for name, value in parameters.items()]
    children.run("deploy", command, _sam_environ(emulator), log_dir, ROOT)
    return read_deployment(emulator)


def _sam_environ(emulator: Emulator) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # SAM asks CloudFormation how far it is twice a minute by default; here a deployment takes seconds.
    return {**inherited, **emulator.environ, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.5"}


def fit_to_enforcement(build: Path, folder: Path) -> Path:
    """Write a build's template anew into a folder, so that it works where the emulator enforces policies.

    The rules that buckets are reached over TLS only would refuse everything, since it is reached over plain HTTP. And
    it asks for a permission of the name of each call, where AWS counts sending ten messages as sending one (SQS API
    permissions).
    """
    body = json.loads((build / "template.yaml").read_text())
    resources = body["Resources"]
    body["Resources"] = {name: one for name, one in resources.items() if one["Type"] != "AWS::S3::BucketPolicy"}
    for resource in body["Resources"].values():
        properties = resource.get("Properties", {})
        for statement in (one for policy in properties.get("Policies", ()) for one in policy["Statement"]):
            if "sqs:SendMessage" in statement["Action"]:
                statement["Action"].append("sqs:SendMessageBatch")
        for content in {"CodeUri", "ContentUri"} & properties.keys():
            properties[content] = str(build / properties[content])
    folder.mkdir()
    (folder / "template.yaml").write_text(json.dumps(body))
    return folder


def read_deployment(emulator: Emulator) -> Deployment:
    """Outputs and names of the stack that is deployed."""
    client = emulator.client("cloudformation")
    stack = client.describe_stacks(StackName=STACK)["Stacks"][0]
    pages = client.get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return Deployment(
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        names={resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
    )
