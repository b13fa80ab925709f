"""Put Claude's API key into the secret of a deployed stack: `python -m local.claude_key`.

The key is typed unseen, or comes on standard input. It stands in no command, file, parameter or history.
"""

import argparse
import getpass
import re
import sys
from typing import Any, TextIO

from botocore.exceptions import BotoCoreError, ClientError

from local.account import DeploymentError, open_account, stack_output
from local.samconfig import read_config

_PROMPT = "Claude API key (not shown): "
# What can stand in a header as it is.
_VISIBLE = re.compile(r"[!-~]+")


def put_claude_key(secrets: Any, secret_id: str, key: str) -> None:
    """Store a key. Functions take it up within minutes, and at once where Claude refuses the one that they have."""
    secrets.put_secret_value(SecretId=secret_id, SecretString=key)


def read_key(source: TextIO) -> str:
    """Read a key from a terminal without showing it, else a line. Raises DeploymentError for what is none."""
    key = (getpass.getpass(_PROMPT) if source.isatty() else source.readline()).strip()
    if not key:
        raise DeploymentError("No key was given, and nothing was changed.")
    if not _VISIBLE.fullmatch(key):
        raise DeploymentError("That is no key: it has spaces or characters that no key has. Nothing was changed.")
    if key.startswith("sk-sluice-"):
        raise DeploymentError("That is a client key of Sluice's, and not one of Claude's. Nothing was changed.")
    return key


def main(stack: str | None) -> int:
    """Read a key and store it; return the status to exit with."""
    config = read_config()
    stack = stack or config.stack
    try:
        account = open_account(config)
        secret_id = stack_output(account, stack, "ClaudeSecretId")
        put_claude_key(account.client("secretsmanager"), secret_id, read_key(sys.stdin))
    except (DeploymentError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Stored in {secret_id}. How work goes on that was held for want of it: docs/operations.md")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.claude_key", description=__doc__)
    parser.add_argument("--stack", help="the stack's name, else that of samconfig.toml")
    sys.exit(main(parser.parse_args().stack))
