"""The command line for keys."""

from __future__ import annotations

import io
import time

import pytest

from sluice.access.cli import main
from sluice.access.guard import Guard
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import AnswerUsage, add_usage
from sluice.aws.dynamodb import Table


def run(table: Table, *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    status = main(arguments, {"SLUICE_TABLE": table.name}, table.client, out)
    return status, out.getvalue()


def test_a_key_that_is_made_works_with_the_terms_that_were_given(table: Table) -> None:
    _, printed = run(table, "make", "ci", "--model", "claude-haiku-*", "--rate", "60", "--budget", "12.5")

    caller = Guard("keys", KeyStore(table)).identify({"x-api-key": printed.strip()}, {"http": {}})

    assert caller.terms == KeyTerms("ci", ("claude-haiku-*",), 60, 12.5)
    assert not caller.is_operator


def test_an_operators_key_is_one_and_is_listed_as_one(table: Table) -> None:
    _, printed = run(table, "make", "on call", "--operator")

    assert Guard("keys", KeyStore(table)).identify({"x-api-key": printed.strip()}, {"http": {}}).is_operator
    assert "all (operator)" in run(table, "list")[1]


def test_the_list_shows_terms_state_and_usage_but_no_secret(table: Table) -> None:
    _, first = run(table, "make", "first")
    _, second = run(table, "make", "second", "--budget", "5")
    key_id = second[10:18]
    add_usage(table, key_id, AnswerUsage(True, 10, 10, cost=1.25), time.time())
    run(table, "revoke", first[10:18])

    _, printed = run(table, "list")

    rows = printed.splitlines()
    assert len(rows) == 3
    assert "revoked" in next(row for row in rows if "first" in row)
    assert "$5.00" in next(row for row in rows if "second" in row)
    assert "$1.25" in next(row for row in rows if "second" in row)
    assert first.strip()[-20:] not in printed


def test_a_key_can_be_revoked_by_its_beginning(table: Table) -> None:
    _, printed = run(table, "make", "someone")

    assert run(table, "revoke", printed.strip())[0] == 0
    record = KeyStore(table).find(printed[10:18])
    assert record is not None
    assert record.revoked_at is not None


def test_a_key_that_is_not_there_is_told(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = run(table, "revoke", "nobody00")

    assert status == 1
    assert "nobody00" in capsys.readouterr().err


def test_revoking_twice_changes_nothing(table: Table) -> None:
    register = KeyStore(table)
    key = register.create(KeyTerms("someone"))
    register.revoke(key.id, now=1000)

    register.revoke(key.id, now=2000)

    record = register.find(key.id)
    assert record is not None
    assert record.revoked_at == 1000


@pytest.mark.parametrize("arguments", [("make", "x", "--rate", "0"), ("make", "x", "--budget", "-1"), ("make",)])
def test_terms_that_make_no_sense_are_refused(table: Table, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        run(table, *arguments)
