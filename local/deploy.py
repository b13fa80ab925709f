"""Check the account, build, and deploy to AWS by `sam deploy`, which asks for the parameters the first time only.

`python -m local.deploy` keeps the answers in samconfig.toml; `--guided` asks again, and offers them.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from local import build
from local.account import Account, DeploymentError, concurrency_warnings, obstacles, open_account
from local.samconfig import DeployConfig, read_config
from local.template import ROOT

BUILT = ROOT / ".aws-sam/build/template.yaml"
_ABOUT_ASKING = """\
SAM asks for each parameter now, once; Enter takes what stands in brackets, and docs/settings.md explains them all.
Save the answers to samconfig.toml when it asks. With AuthMode=keys it asks twice whether a Function URL without
authentication is okay: answer y, since Sluice checks the keys itself.
"""


def main(arguments: Mapping[str, Any], open_it: Callable[[DeployConfig], Account] = open_account) -> int:
    """Deploy; return the status to exit with."""
    config = read_config()
    stack = arguments["stack"] or config.stack
    try:
        account = open_it(config)
    except DeploymentError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Deploying {stack} to {account.region} as {account.arn}")
    if found := list(obstacles(stack, account.region)):
        print(*found, sep="\n", file=sys.stderr)
        return 1
    for warning in warnings(account, config.answers):
        print(f"Note: {warning}")
    if status := build.main(arguments):
        return status
    if mismatch := built_for_another(config.answers, BUILT):
        print(mismatch, file=sys.stderr)
        return 1
    is_first = not config.answers
    status = _deploy(stack if arguments["stack"] else None, guided=arguments["guided"] or is_first)
    if status == 0 and is_first and not read_config().answers.get("ClaudeSecretArn"):
        print("\nNow give it your Claude API key: make claude-key")
    return status


def warnings(account: Account, answers: Mapping[str, str]) -> Iterator[str]:
    """Yield what a person should know of the account before deploying to it."""
    try:
        limit = int(account.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
    except (BotoCoreError, ClientError) as error:
        yield f"How many functions this account may run at the same time cannot be read: {error}"
        return
    yield from concurrency_warnings(limit, answers)


def built_for_another(answers: Mapping[str, str], template: Path) -> str | None:
    """Return what is wrong where the last answers name another runtime or processor than was built for."""
    parameters = yaml.safe_load(template.read_text())["Parameters"]
    for name in build.target_of_this_machine().parameters:
        built = parameters[name]["Default"]
        if answers.get(name, built) != built:
            return (
                f"{name} is {answers[name]} in samconfig.toml, but the layers are built for {built}: change it there."
            )
    return None


def sam_command(stack: str | None, *, guided: bool) -> list[str]:
    """Return the call of SAM. It names neither template nor file of answers: SAM finds the right ones by itself."""
    command = [str(build.SAM), "deploy"]
    if stack:
        command += ["--stack-name", stack]
    return [*command, "--guided"] if guided else command


def _deploy(stack: str | None, *, guided: bool) -> int:
    if guided:
        print(_ABOUT_ASKING)
    environ = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    return subprocess.run(sam_command(stack, guided=guided), cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.deploy", description=__doc__)
    parser.add_argument("--guided", action="store_true", help="ask for all parameters again")
    parser.add_argument("--stack", help="the stack's name, else that of samconfig.toml")
    parser.add_argument("--runtime", help="a Lambda runtime, such as python3.13")
    parser.add_argument("--architecture", help="arm64 or x86_64")
    sys.exit(main(vars(parser.parse_args())))
