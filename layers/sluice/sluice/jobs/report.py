"""stub"""

from sluice.jobs.summary import Account


def write_report(account: Account) -> bytes:
    return b""
