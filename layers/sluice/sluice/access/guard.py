"""What a door asks about a call: who makes it, whether they may, and, afterwards, what it cost.

One guard lives as long as its copy of the function. What it reads it believes for a minute at most, so that a revoked
key stops within one; what it remembers is bounded, whoever calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.access.keys import PREFIX, KeyText, parse_key
from sluice.access.operators import is_operator
from sluice.access.store import KeyRecord, KeyStore, KeyTerms
from sluice.access.usage import (
    AnswerUsage,
    MonthlyUsage,
    Reservation,
    add_usage,
    month_of,
    read_usage,
    reserve,
    take_turn,
)
from sluice.backoff import WRONG_KEY
from sluice.errors import BudgetSpent, ConditionFailed, Forbidden, RequestError, TooManyRequests, Unauthenticated
from sluice.settings import AuthMode

CACHE_SECONDS = 60.0
_MOST_CACHED = 1000
# Calls end in seconds to minutes, and give back what they did not use.
_SETTLED_AFTER_SECONDS = 10.0
# One address may be wrong this often in a minute before it is told to wait, longer each time.
_WRONG_KEYS = 10
_CLAUDES_PREFIX = "sk-ant-"
_HOW_TO_SEND = 'Send it as "x-api-key: sk-sluice-…" or "authorization: Bearer sk-sluice-…".'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``owner`` is whom a stream or a task belongs to: a key, an IAM user or role. ``key_id`` None: IAM.

    ``is_operator``: what belongs to the whole stack is theirs to see and to change.
    """

    owner: str
    key_id: str | None = None
    terms: KeyTerms | None = None
    is_operator: bool = False


@dataclass(slots=True)
class _Cached:
    value: Any
    until: float


class Guard:
    """Checks callers by ``mode``: ``iam`` (Lambda has checked the signature), or ``keys`` (we check the key).

    ``operators`` are names or ARNs of IAM users and roles; of keys, their terms say it.
    """

    def __init__(
        self,
        mode: AuthMode,
        register: KeyStore,
        clock: Callable[[], float] = time.time,
        operators: tuple[str, ...] = (),
    ) -> None:
        self._mode = mode
        self._operators = operators
        self._key_store = register
        self._clock = clock
        self._cache: dict[str, _Cached] = {}
        self._wrong: dict[str, _Cached] = {}

    def identify(self, headers: Mapping[str, str], request_context: Mapping[str, Any]) -> Caller:
        """Return who calls, from lower-cased headers and a Function URL event's ``requestContext``.

        Raises Unauthenticated, and TooManyRequests where an address has sent many wrong keys.
        """
        if self._mode == "iam":
            return self._signed(request_context)
        source = str((request_context.get("http") or {}).get("sourceIp", ""))
        sent = _sent_key(headers)
        if not sent:
            raise Unauthenticated(f"A Sluice key is missing. {_HOW_TO_SEND}")
        record = self._find(sent)
        if record is None:
            self._count_wrong_key(source)
            if sent.startswith(_CLAUDES_PREFIX):
                raise Unauthenticated(f"This is a key of Claude's; send a key of Sluice's. {_HOW_TO_SEND}")
            raise Unauthenticated(f"This is not a valid Sluice key, or it has been revoked. {_HOW_TO_SEND}")
        return Caller(f"key:{record.id}", record.id, record.terms, record.terms.operator)

    def _signed(self, request_context: Mapping[str, Any]) -> Caller:
        arn, account = _principal(request_context), str(request_context.get("accountId") or "")
        return Caller(f"iam:{arn}", is_operator=is_operator(arn, account, self._operators))

    def admit(self, caller: Caller, model: str | None = None, *, takes_turn: bool = True) -> None:
        """Check what a call needs against the terms of its key. Raises Forbidden, BudgetSpent, TooManyRequests.

        With ``takes_turn``, it counts as one of the requests of this minute.
        """
        if caller.key_id is None or caller.terms is None:
            return
        terms = caller.terms
        if model is not None and not terms.allows(model):
            raise Forbidden(
                f"The key {terms.name!r} may not use the model {model!r}. It may use: {', '.join(terms.models)}."
            )
        if terms.budget is not None:
            self._check_budget(caller.key_id, terms, terms.budget, model)
        if takes_turn:
            self.take_turn(caller)

    def take_turn(self, caller: Caller) -> None:
        """Count a call against the rate of its key: one that asks Claude for nothing, but costs work all the same.

        Raises TooManyRequests.
        """
        terms = caller.terms
        if caller.key_id is None or terms is None or terms.rate is None:
            return
        wait = take_turn(self._key_store.table, caller.key_id, terms.rate, self._clock())
        if wait is not None:
            raise TooManyRequests(f"The key {terms.name!r} may make {terms.rate} requests a minute.", wait)

    def check_known(self, caller: Caller, params: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Check what a call asks for, all models that it names, against the terms of its key. Raises Forbidden.

        ``headers`` have lower-cased names.
        """
        if caller.terms is None or not caller.terms.bind_params:
            return
        from sluice.access.known_params import check_known

        check_known(params, headers, caller.terms)

    def reserve(self, caller: Caller, params: Mapping[str, Any], request_bytes: int) -> Reservation | None:
        """Take what one call of Claude may cost from the budget of its key, right before it; None without a budget.

        It has to be given back by ``account``. Raises BudgetSpent where less than that is left, TooManyRequests where
        that is so only until other calls have ended.
        """
        terms = caller.terms
        if caller.key_id is None or terms is None or terms.budget is None:
            return None
        from sluice.claude.prices import shipped_prices
        from sluice.claude.worst_case import worst_cost

        worst = worst_cost(params, request_bytes, shipped_prices()) or 0.0
        now = self._clock()
        try:
            return reserve(self._key_store.table, caller.key_id, worst, terms.budget, now)
        except ConditionFailed:
            usage = read_usage(self._key_store.table, caller.key_id, month_of(now))
            raise _no_room(terms.name, terms.budget, worst, usage) from None

    def account(self, caller: Caller, spent: AnswerUsage, reserved: Sequence[Reservation] = ()) -> None:
        """Add what a call used to the month of its key, and give back what was reserved for it."""
        if caller.key_id is None:
            return
        usage = add_usage(self._key_store.table, caller.key_id, spent, self._clock(), reserved)
        self._remember(f"cost:{caller.key_id}:{usage.month}", usage.cost)

    def _check_budget(self, key_id: str, terms: KeyTerms, budget: float, model: str | None) -> None:
        from sluice.claude.prices import shipped_prices

        if model is not None and shipped_prices().find(model) is None:
            unpriced = f"and Sluice's own list has no price of {model!r} to hold against it"
            raise Forbidden(f"The key {terms.name!r} has a budget, {unpriced}.")
        if self._cost_so_far(key_id) >= budget:
            raise BudgetSpent(f"The monthly budget of the key {terms.name!r}, ${budget:.2f}, is spent.")

    def _find(self, sent: str) -> KeyRecord | None:
        text = parse_key(sent)
        if text is None:
            return None
        pepper: bytes | None = self._cached("pepper", self._key_store.pepper)
        if pepper is None or not text.is_sealed_with(pepper):
            return None
        return self._check(text)

    def _check(self, text: KeyText) -> KeyRecord | None:
        record: KeyRecord | None = self._cached(f"key:{text.id}", lambda: self._key_store.find(text.id))
        if record is None or not text.matches(record.hash) or record.revoked_at is not None:
            return None
        return record

    def _cost_so_far(self, key_id: str) -> float:
        month = month_of(self._clock())
        cost: float = self._cached(
            f"cost:{key_id}:{month}", lambda: read_usage(self._key_store.table, key_id, month).cost
        )
        return cost

    def _cached(self, what: str, read: Callable[[], Any]) -> Any:
        cached = self._cache.get(what)
        if cached is None or cached.until <= self._clock():
            return self._remember(what, read())
        return cached.value

    def _remember(self, what: str, value: Any) -> Any:
        _forget_oldest(self._cache)
        self._cache.pop(what, None)
        self._cache[what] = _Cached(value, self._clock() + CACHE_SECONDS)
        return value

    def _count_wrong_key(self, source: str) -> None:
        now = self._clock()
        seen = self._wrong.pop(source, None)
        _forget_oldest(self._wrong)
        if seen is None or seen.until <= now:
            seen = _Cached(0, now + CACHE_SECONDS)
        seen.value += 1
        self._wrong[source] = seen
        if seen.value > _WRONG_KEYS:
            wait = WRONG_KEY.delay(seen.value - _WRONG_KEYS)
            seen.until = now + wait
            raise TooManyRequests("Too many wrong keys have come from this address.", wait)


def _no_room(name: str, budget: float, worst: float, usage: MonthlyUsage) -> RequestError:
    """Say why a budget has no room for a call, and whether it may have when the calls that go on have ended."""
    left = budget - usage.cost
    if left <= 0:
        return BudgetSpent(f"The monthly budget of the key {name!r}, ${budget:.2f}, is spent.")
    call = f"This call may cost up to ${worst:.6f}"
    if worst > left:
        return BudgetSpent(
            f"{call}, and of the monthly budget of the key {name!r}, ${budget:.2f}, ${left:.6f} are left. With a "
            "smaller max_tokens it may cost less."
        )
    return TooManyRequests(
        f"{call}, and what is left of the monthly budget of the key {name!r}, ${left:.6f}, is reserved for calls that "
        "have not ended.",
        _SETTLED_AFTER_SECONDS,
    )


def _forget_oldest(remembered: dict[str, _Cached]) -> None:
    if len(remembered) >= _MOST_CACHED:
        del remembered[next(iter(remembered))]


def _sent_key(headers: Mapping[str, str]) -> str:
    """Return the key that a client means. Some send two, one of them a forgotten one of Claude's: then ours counts."""
    sent = [each for each in (headers.get("x-api-key", ""), _bearer(headers.get("authorization", ""))) if each]
    return next((each for each in sent if each.startswith(PREFIX)), sent[0] if sent else "")


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _principal(request_context: Mapping[str, Any]) -> str:
    """Name the user or role whose signature Lambda has checked (Lambda: Function URL events, ``authorizer.iam``).

    The name of a role's session is left out: it changes with each renewal of the credentials, and what belongs to the
    caller has to stay theirs (IAM: assumed-role/<role>/<session>).
    """
    iam = (request_context.get("authorizer") or {}).get("iam") or {}
    arn = str(iam.get("userArn") or "unsigned")
    if ":assumed-role/" in arn:
        arn = arn.rpartition("/")[0]
    return arn
