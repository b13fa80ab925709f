"""What each key has used: in a month for its budget, in a minute for its rate.

Each is changed by one atomic update, so that copies of a function which run at the same time count together.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.aws.dynamodb import Item, Table, Update
from sluice.errors import ConditionFailed
from sluice.table_keys import rate_key, usage_key

_DAY = 86_400
_USAGE_DAYS = 400


@dataclass(frozen=True, slots=True)
class AnswerUsage:
    """What one answer used. ``cost`` is an estimate in US dollars; ``succeeded``: it came to its end."""

    succeeded: bool
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class MonthlyUsage:
    """What a key has used in a month (UTC). ``succeeded`` and ``failed`` count answers.

    ``committed`` is the cost with what is reserved for calls that have not ended.
    """

    month: str
    succeeded: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float = 0.0
    committed: float = 0.0


def month_of(now: float) -> str:
    """Name the month (UTC) of a time in epoch seconds."""
    return time.strftime("%Y-%m", time.gmtime(now))


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was taken from a budget before Claude was asked: US dollars, in a month."""

    month: str
    dollars: float


def reserve(table: Table, key_id: str, dollars: float, budget: float, now: float) -> Reservation:
    """Take what a call may cost from what is left of a budget, in one write: of calls that come at once, no more pass
    than it has room for. Raises ConditionFailed where there is less left.

    ``committed`` is what was spent and what is reserved. What is never settled, since its function has died, stays
    reserved: Claude may have been paid.
    """
    month, dollars = month_of(now), round(dollars, 9)
    room = round(budget - dollars, 9)
    if room < 0:
        raise ConditionFailed("The call may cost more than the whole budget.")
    update = Update(
        usage_key(key_id, month),
        set={"expires_at": int(now) + _USAGE_DAYS * _DAY},
        add={"committed": dollars},
        condition="attribute_not_exists(#committed) OR #committed <= :committed",
        values={"committed": room},
        create=True,
    )
    table.update(update)
    return Reservation(month, dollars)


def add_usage(
    table: Table, key_id: str, spent: AnswerUsage, now: float, reserved: Sequence[Reservation] = ()
) -> MonthlyUsage:
    """Account for a call, in the month in which it was reserved, and return that month so far.

    What was ``reserved`` for it is given back.
    """
    month = reserved[0].month if reserved else month_of(now)
    amounts: dict[str, int | float] = {
        "succeeded" if spent.succeeded else "failed": 1,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "cache_write_tokens": spent.cache_write_tokens,
        "cache_read_tokens": spent.cache_read_tokens,
        "cost": round(spent.cost, 9),
        "committed": round(spent.cost - sum(each.dollars for each in reserved), 9),
    }
    changed = {name: amount for name, amount in amounts.items() if amount}
    expires_at = int(now) + _USAGE_DAYS * _DAY
    update = Update(usage_key(key_id, month), set={"expires_at": expires_at}, add=changed, create=True)
    return _from_item(month, table.update(update))


def read_usage(table: Table, key_id: str, month: str) -> MonthlyUsage:
    """Read what a key has used in a month such as ``2026-11``."""
    return _from_item(month, table.get(usage_key(key_id, month)) or {})


def take_turn(table: Table, key_id: str, rate: int, now: float) -> float | None:
    """Count a request against ``rate`` a minute; return None, or the seconds until the next minute where it is full."""
    minute = int(now // 60)
    update = Update(
        rate_key(key_id, minute),
        set={"expires_at": int(now) + 3600},
        add={"requests": 1},
        condition="attribute_not_exists(#requests) OR #requests < :requests",
        values={"requests": rate},
        create=True,
    )
    try:
        table.update(update)
    except ConditionFailed:
        return (minute + 1) * 60 - now
    return None


def _from_item(month: str, item: Item) -> MonthlyUsage:
    names = [name for name in MonthlyUsage.__slots__ if name != "month"]
    return MonthlyUsage(month, **{name: item[name] for name in names if name in item})
