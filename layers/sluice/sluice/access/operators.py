"""Which IAM users and roles are operators: they may see, release and cancel jobs, and release incidents.

Whoever may call a door by IAM may not do that for it alone: releasing a job can spend what a limit was to hold back.
"""

from __future__ import annotations

from collections.abc import Iterable


def is_operator(caller_arn: str, account: str, names: Iterable[str]) -> bool:
    """Return whether a user or role (an assumed role without its session) is among ``names``.

    A name is that of a user or role of ``account``, or the ARN of one; each may end in ``*``. Paths count in neither:
    the ARN of an assumed role has none (IAM: IAM identifiers).
    """
    arn = _plain(caller_arn)
    own_name = arn.rpartition("/")[2] if account and arn.split(":")[4:5] == [account] else None
    return any(_matches(_plain(name), arn) if ":" in name else _matches(name, own_name) for name in names)


def _matches(name: str, value: str | None) -> bool:
    if value is None:
        return False
    return value.startswith(name[:-1]) if name.endswith("*") else value == name


def _plain(arn: str) -> str:
    """Write the ARN of a user, a role or an assumed role as ``arn:<partition>:iam::<account>:<kind>/<name>``."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return arn
    kind, _, rest = parts[5].partition("/")
    kind, name = kind.replace("assumed-role", "role"), rest.rpartition("/")[2]
    return ":".join([*parts[:2], "iam", *parts[3:5], f"{kind}/{name}" if name else kind])
