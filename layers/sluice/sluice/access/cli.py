"""``python -m sluice.access``: make, list and revoke the client keys of a stack.

Runs with the AWS credentials of whoever calls it; ``--table`` is the stack's output ``TableName``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from sluice.access.store import KeyRecord, KeyStore, KeyTerms
from sluice.access.usage import MonthlyUsage, month_of, read_usage
from sluice.aws.dynamodb import DynamoDbClient, Table
from sluice.errors import SluiceError

_COLUMNS = "{id:<10}{name:<24}{made:<12}{state:<10}{rate:>8}{budget:>10}{used:>12}{answers:>9}  {models}{operator}"


def main(arguments: Sequence[str], environ: Mapping[str, str], client: DynamoDbClient, out: TextIO) -> int:
    """Run one command and return the status to exit with."""
    parsed = _parser(environ).parse_args(arguments)
    register = KeyStore(Table(client, parsed.table))
    try:
        if parsed.command == "make":
            _make(register, parsed, out)
        elif parsed.command == "revoke":
            _revoke(register, parsed.id, out)
        else:
            _list(register, out)
    except SluiceError as error:
        print(f"sluice.access: {error}", file=sys.stderr)  # noqa: T201  a command line speaks to a person
        return 1
    return 0


def _make(register: KeyStore, parsed: argparse.Namespace, out: TextIO) -> None:
    terms = KeyTerms(parsed.name, tuple(parsed.model), parsed.rate, parsed.budget, parsed.operator)
    out.write(f"{register.create(terms).text}\n")
    if sys.stderr.isatty():
        sys.stderr.write("Keep it now: only its hash is stored, and it cannot be shown again.\n")


def _revoke(register: KeyStore, key_id: str, out: TextIO) -> None:
    bare_id = key_id.removeprefix("sk-sluice-")[:8]
    register.revoke(bare_id)
    out.write(f"The key {bare_id} is revoked; it stops working within a minute.\n")


def _list(register: KeyStore, out: TextIO) -> None:
    month = month_of(time.time())
    records = sorted(register.list_keys(), key=lambda record: record.created_at)
    rows = [(record, read_usage(register.table, record.id, month)) for record in records]
    out.writelines(f"{line.rstrip()}\n" for line in _table_lines(rows, month))


def _table_lines(rows: Iterable[tuple[KeyRecord, MonthlyUsage]], month: str) -> Iterable[str]:
    yield _COLUMNS.format(
        id="id",
        name="name",
        made="made",
        state="state",
        rate="rate/min",
        budget="budget",
        used=month,
        answers="answers",
        models="models",
        operator="",
    )
    for record, usage in rows:
        terms = record.terms
        yield _COLUMNS.format(
            id=record.id,
            name=terms.name[:23],
            made=time.strftime("%Y-%m-%d", time.gmtime(record.created_at)),
            state="revoked" if record.revoked_at else "valid",
            rate="-" if terms.rate is None else terms.rate,
            budget="-" if terms.budget is None else f"${terms.budget:,.2f}",
            used=f"${usage.cost:,.2f}",
            answers=usage.succeeded + usage.failed,
            models=", ".join(terms.models) or "all",
            operator=" (operator)" if terms.operator else "",
        )


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluice.access", description="The client keys of a stack.")
    table = environ.get("SLUICE_TABLE")
    parser.add_argument("--table", default=table, required=not table, help="name of the stack's table (SLUICE_TABLE)")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make a key and print it, once")
    make.add_argument("name", help="whom or what the key is for")
    make.add_argument("--model", action="append", default=[], help="a model it may use, or a beginning with *; repeat")
    make.add_argument("--rate", type=_positive_int, help="requests per minute")
    make.add_argument("--budget", type=_positive_float, help="US dollars per calendar month (UTC), estimated")
    make.add_argument("--operator", action="store_true", help="may see, release and cancel jobs, and release incidents")
    commands.add_parser("list", help="list the keys and what they have used this month")
    revoke = commands.add_parser("revoke", help="take a key out of use")
    revoke.add_argument("id", help="the eight characters after sk-sluice-")
    return parser


def _positive_int(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("has to be more than 0")
    return value


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("has to be more than 0")
    return value
