"""Who is an operator by IAM, and who only looks like one."""

from __future__ import annotations

import pytest

from sluice.access.guard import Guard
from sluice.access.operators import is_operator
from sluice.access.store import KeyStore
from sluice.aws.dynamodb import Table

ROLE = "arn:aws:sts::111122223333:assumed-role/ops-on-call"
USER = "arn:aws:iam::111122223333:user/team/ada"


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ROLE, "ops-on-call"),
        (ROLE, "ops-*"),
        (ROLE, "arn:aws:iam::111122223333:role/ops-on-call"),
        (ROLE, "arn:aws:iam::111122223333:role/with/a/path/ops-on-call"),
        (ROLE, "arn:aws:sts::111122223333:assumed-role/ops-*"),
        (USER, "ada"),
        (USER, "arn:aws:iam::111122223333:user/team/ada"),
    ],
)
def test_a_user_or_role_is_named_by_its_name_or_its_arn(arn: str, name: str) -> None:
    assert is_operator(arn, "111122223333", ("somebody-else", name))


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ROLE, "ops"),
        (ROLE, "on-call"),
        (ROLE, "OPS-ON-CALL"),
        (ROLE, "arn:aws:iam::111122223333:user/ops-on-call"),
        (ROLE, "arn:aws:iam::999900001111:role/ops-on-call"),
        (USER, "team"),
        ("unsigned", "unsigned"),
        ("arn:aws:iam::111122223333:root", "root"),
    ],
)
def test_nobody_else_is(arn: str, name: str) -> None:
    assert not is_operator(arn, "111122223333", (name,))


@pytest.mark.parametrize("account", ["999900001111", ""])
def test_a_name_counts_in_the_account_of_the_stack_alone(account: str) -> None:
    assert not is_operator(ROLE, account, ("ops-on-call", "*"))


def test_a_signed_caller_is_an_operator_where_its_role_is_named_whatever_the_session(table: Table) -> None:
    guard = Guard("iam", KeyStore(table), operators=("ops-on-call",))
    context = {"accountId": "111122223333", "authorizer": {"iam": {"userArn": f"{ROLE}/session-7"}}}
    assert guard.identify({}, context).is_operator
    assert not guard.identify({}, {**context, "authorizer": {"iam": {"userArn": USER}}}).is_operator
    assert not Guard("iam", KeyStore(table)).identify({}, context).is_operator
