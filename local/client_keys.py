"""Make, list and revoke the client keys of the stack in samconfig.toml: `python -m local.client_keys -- list`."""

import argparse
import os
import sys
from collections.abc import Sequence

from local.account import DeploymentError, open_account, stack_output
from local.samconfig import read_config
from sluice.access import cli


def main(stack: str | None, arguments: Sequence[str]) -> int:
    """Run a command of `sluice.access` on the table of a stack; return the status to exit with."""
    config = read_config()
    try:
        account = open_account(config)
        table = stack_output(account, stack or config.stack, "TableName")
    except DeploymentError as error:
        print(error, file=sys.stderr)
        return 1
    return cli.main(["--table", table, *arguments], os.environ, account.client("dynamodb"), sys.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m local.client_keys", description=__doc__)
    parser.add_argument("--stack", help="the stack's name, else that of samconfig.toml")
    parser.add_argument("arguments", nargs="+", help="make NAME …, list, or revoke ID, after --")
    parsed = parser.parse_args()
    sys.exit(main(parsed.stack, parsed.arguments))
