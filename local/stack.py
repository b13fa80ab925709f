"""The embedded stack: emulator, Claude simulator, the deployed template, and the Function URL host of the stream."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from local.build import BUILDS, built, target_of_this_machine
from local.children import Child, ChildFailed
from local.claude_key import put_claude_key
from local.deployment import Deployment, deploy, fit_to_enforcement
from local.emulator import REGION, Emulator, running_emulator
from local.facts import StackFacts, remove_facts, write_facts
from local.options import Options, check_ports
from local.schedules import firing
from local.servers import python_environ, running_simulator, running_stream_host
from local.template import ROOT, load_template

SIMULATOR_KEY = "sk-ant-simulator"
KEPT_RUNS = 10
# Seconds between two runs of a scheduled function.
SCHEDULED = {"PollBatches": 1.0, "RunTask": 30.0}


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: its facts, its emulator, and the processes that it consists of."""

    facts: StackFacts
    emulator: Emulator
    deployment: Deployment
    processes: tuple[Child, ...]

    def client(self, service: str) -> Any:
        """A boto3 client of a service of the emulator."""
        return self.emulator.client(service)

    def watch(self) -> None:
        """Return never, but for an interrupt. Raises ChildFailed when a process of the stack ends."""
        while True:
            for child in self.processes:
                if not child.is_running():
                    raise child.failure("ended")
            time.sleep(0.2)


@contextmanager
def running_stack(options: Options | None = None) -> Iterator[Stack]:
    """Run a stack for as long as the block; its facts are in `{state_dir}/stack.json` meanwhile.

    Raises OptionError, ChildFailed or BuildError when it does not come up. Whatever was started has ended when the
    block has.
    """
    options = options or Options()
    check_ports(options)
    state_dir = options.state_dir
    run_dir = _make_run_dir(state_dir)
    facts_file = state_dir / "stack.json"
    facts_file.unlink(missing_ok=True)
    with ExitStack() as resources:
        resources.callback(shutil.rmtree, run_dir / "scratch", ignore_errors=True)
        stack = _start(options, run_dir, resources)
        resources.callback(remove_facts, facts_file, stack.facts)
        write_facts(facts_file, stack.facts)
        yield stack


def _start(options: Options, run_dir: Path, resources: ExitStack) -> Stack:
    log_dir, scratch = run_dir, run_dir / "scratch"
    build = resources.enter_context(built(target_of_this_machine(), BUILDS, log_dir))
    emulator = resources.enter_context(running_emulator(options.port(0), scratch, log_dir, options.enforces_policies))
    processes = [emulator.child]
    claude_url, claude_key = options.claude_base_url, options.claude_api_key or SIMULATOR_KEY
    if claude_url is None:
        simulator, port = resources.enter_context(running_simulator(options.port(1), scratch, log_dir, options.words))
        processes.append(simulator)
        claude_url = f"http://127.0.0.1:{port}"
    parameters = local_parameters(claude_url, options.parameters or {})
    template = fit_to_enforcement(build, scratch / "template") if options.enforces_policies else build
    deployment = deploy(template, parameters, emulator, log_dir)
    if not parameters.get("ClaudeSecretArn"):
        put_claude_key(emulator.client("secretsmanager"), deployment.outputs["ClaudeSecretId"], claude_key)
    api_url = emulator.function_url(deployment.outputs["ApiUrl"])
    if not parameters.get("ApiBaseUrl"):
        _tell_api_its_url(emulator, deployment.names["ServeApi"], api_url)
    host, stream_port = resources.enter_context(
        running_stream_host(options.port(2), build, emulator, deployment, run_dir, options.enforces_policies)
    )
    processes.append(host)
    for function, pause_seconds in SCHEDULED.items():
        payload, log = load_template().schedule_input(function), log_dir / f"schedule_{function}.log"
        resources.enter_context(firing(emulator, deployment.names[function], payload, pause_seconds, log))
    facts = StackFacts(
        stream_url=f"http://127.0.0.1:{stream_port}",
        api_url=api_url,
        aws_endpoint_url=emulator.url,
        region=REGION,
        inbox_bucket=deployment.outputs["InboxBucket"],
        outbox_bucket=deployment.outputs["OutboxBucket"],
        table=deployment.outputs["TableName"],
        completion_topic_arn=deployment.outputs["CompletionTopicArn"],
        claude_base_url=claude_url,
        client_key=_make_client_key(emulator, deployment) if parameters["AuthMode"] == "keys" else None,
        webhook_secret=_read_webhook_secret(emulator, deployment),
        notifications_queue_url=_subscribe_queue(emulator, deployment),
        log_dir=str(log_dir),
    )
    # The first call of a function waits for its start; here it is this one, unsigned and refused, not the user's.
    httpx2.get(f"{api_url.rstrip('/')}/v1/jobs", timeout=60)
    return Stack(facts, emulator, deployment, tuple(processes))


def local_parameters(claude_url: str, given: Mapping[str, str]) -> dict[str, str]:
    """Values for the template's parameters: those that fit one machine, and over them what was given."""
    return {
        **target_of_this_machine().parameters,
        "ClaudeBaseUrl": claude_url,
        "AuthMode": "keys",
        "CallbackLocal": "http://127.0.0.1",
        # There is nobody to spare: what takes minutes on AWS takes seconds here.
        "WaveDelaySeconds": "1",
        "ReconcileAfterSeconds": "2",
        "SettingsWaitSeconds": "1",
        **given,
    }


def _tell_api_its_url(emulator: Emulator, function: str, api_url: str) -> None:
    """Name the URL that works here in the status_url of tasks: the emulator gives events a host that is nowhere."""
    client = emulator.client("lambda")
    variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    variables["SLUICE_API_BASE_URL"] = api_url
    client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})


def _make_client_key(emulator: Emulator, deployment: Deployment) -> str:
    """Make a key by the command that `make key` runs, which prints it, once."""
    arguments = ["--table", deployment.outputs["TableName"], "make", "local", "--operator"]
    command = [sys.executable, "-m", "sluice.access", *arguments]
    environ = {**python_environ(), **emulator.environ}
    made = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ChildFailed(f"no client key could be made:\n{made.stderr}")
    return made.stdout.strip()


def _read_webhook_secret(emulator: Emulator, deployment: Deployment) -> str:
    client = emulator.client("secretsmanager")
    text = client.get_secret_value(SecretId=deployment.outputs["WebhookSecretId"])["SecretString"]
    return f"whsec_{str(json.loads(text)['current']).removeprefix('whsec_')}"


def _subscribe_queue(emulator: Emulator, deployment: Deployment) -> str:
    """Subscribe a queue to the topic, so that what it tells can be read, and return the queue's URL."""
    sqs, topic = emulator.client("sqs"), deployment.outputs["CompletionTopicArn"]
    url = str(sqs.create_queue(QueueName="sluice-notifications")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    # SNS: Subscribing a queue. The topic needs the queue's leave.
    leave = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [leave]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    emulator.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def _make_run_dir(state_dir: Path) -> Path:
    """A folder for the logs of this run; those of old runs are removed."""
    logs = state_dir / "logs"
    run_dir = logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    (run_dir / "scratch").mkdir(parents=True)
    for old in sorted(logs.glob("*-*-*"))[:-KEPT_RUNS]:
        shutil.rmtree(old, ignore_errors=True)
    return run_dir
