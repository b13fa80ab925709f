"""Who may call, and how much: what the guard reads, believes and counts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from sluice.access.guard import CACHE_SECONDS, Caller, Guard
from sluice.access.keys import make_key
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import AnswerUsage, read_usage
from sluice.aws.dynamodb import Table
from sluice.errors import BudgetSpent, Forbidden, TooManyRequests, Unauthenticated

HTTP = {"http": {"sourceIp": "192.0.2.1"}}


class Clock:
    now = 1_795_374_000.0

    def __call__(self) -> float:
        return self.now


class CountingClient:
    """A client that counts its calls."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        return getattr(self._client, name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(table: Table) -> CountingClient:
    return CountingClient(table.client)


@pytest.fixture
def register(client: CountingClient) -> KeyStore:
    return KeyStore(Table(client, "sluice"))


@pytest.fixture
def guard(register: KeyStore, clock: Clock) -> Guard:
    return Guard("keys", register, clock)


def sent(text: str) -> dict[str, str]:
    return {"x-api-key": text}


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_is_taken_from_either_header(guard: Guard, register: KeyStore, header: str) -> None:
    key = register.create(KeyTerms("someone"))
    headers = {header: key.text if header == "x-api-key" else f"Bearer {key.text}"}

    caller = guard.identify(headers, HTTP)

    assert caller == Caller(f"key:{key.id}", key.id, KeyTerms("someone"))


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic abc"}, {"x-api-key": "sk-ant-x"}])
def test_a_call_without_a_good_key_is_refused_with_a_hint(guard: Guard, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match="x-api-key: sk-sluice-"):
        guard.identify(headers, HTTP)


def test_a_revoked_key_stops_within_a_minute(guard: Guard, register: KeyStore, clock: Clock) -> None:
    key = register.create(KeyTerms("someone"))
    guard.identify(sent(key.text), HTTP)
    register.revoke(key.id)

    guard.identify(sent(key.text), HTTP)
    clock.now += CACHE_SECONDS

    assert CACHE_SECONDS <= 60
    with pytest.raises(Unauthenticated):
        guard.identify(sent(key.text), HTTP)


def test_a_key_that_is_known_is_not_read_again(guard: Guard, register: KeyStore, client: CountingClient) -> None:
    key = register.create(KeyTerms("someone"))
    guard.identify(sent(key.text), HTTP)
    before = client.calls

    guard.identify(sent(key.text), HTTP)

    assert client.calls == before


def test_keys_that_nobody_made_are_never_looked_up(guard: Guard, register: KeyStore, client: CountingClient) -> None:
    guard.identify(sent(register.create(KeyTerms("someone")).text), HTTP)
    before = client.calls

    for number in range(500):
        with pytest.raises((Unauthenticated, TooManyRequests)):
            guard.identify(sent(make_key(b"guessed pepper").text), {"http": {"sourceIp": f"198.51.100.{number}"}})

    assert client.calls == before


def test_many_wrong_keys_from_one_address_wait_longer_and_longer(guard: Guard, register: KeyStore) -> None:
    register.create(KeyTerms("someone"))
    waits = []
    for _ in range(20):
        try:
            guard.identify(sent("sk-ant-wrong"), HTTP)
        except TooManyRequests as error:
            waits.append(error.retry_after)
        except Unauthenticated:
            assert not waits

    assert waits[:3] == [60, 120, 240]
    assert max(waits) <= 3600


def test_an_address_that_sent_wrong_keys_can_still_send_the_right_one(guard: Guard, register: KeyStore) -> None:
    key = register.create(KeyTerms("someone"))
    for _ in range(20):
        with pytest.raises((Unauthenticated, TooManyRequests)):
            guard.identify(sent("sk-ant-wrong"), HTTP)

    assert guard.identify(sent(key.text), HTTP).key_id == key.id


def test_what_is_remembered_of_addresses_is_bounded(guard: Guard) -> None:
    for number in range(3000):
        with pytest.raises(Unauthenticated):
            guard.identify(sent("wrong"), {"http": {"sourceIp": str(number)}})

    assert len(guard._wrong) <= 1000


@pytest.mark.parametrize(
    ("arn", "owner"),
    [
        ("arn:aws:iam::1:user/team/ada", "iam:arn:aws:iam::1:user/team/ada"),
        ("arn:aws:sts::1:assumed-role/app/session-1", "iam:arn:aws:sts::1:assumed-role/app"),
        ("arn:aws:sts::1:assumed-role/app/session-2", "iam:arn:aws:sts::1:assumed-role/app"),
    ],
)
def test_a_signed_caller_is_its_user_or_role_whatever_the_session(register: KeyStore, arn: str, owner: str) -> None:
    assert Guard("iam", register).identify({}, {"authorizer": {"iam": {"userArn": arn}}}) == Caller(owner)


def test_a_key_is_held_to_its_models(guard: Guard) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone", models=("claude-haiku-*", "claude-sonnet-5")))

    guard.admit(caller, "claude-haiku-4-5")
    guard.admit(caller, "claude-sonnet-5")
    guard.admit(caller)
    for model in ("claude-sonnet-5-5", "claude-opus-5", ""):
        with pytest.raises(Forbidden, match="may not use"):
            guard.admit(caller, model)


def test_a_rate_is_shared_by_all_copies_and_begins_anew_each_minute(register: KeyStore, clock: Clock) -> None:
    clock.now = 60_000_000.0
    copies = [Guard("keys", register, clock) for _ in range(2)]
    caller = Caller("key:a", "a", KeyTerms("someone", rate=4))
    for number in range(4):
        copies[number % 2].admit(caller)
    clock.now += 20

    with pytest.raises(TooManyRequests) as refused:
        copies[0].admit(caller)
    assert refused.value.retry_after == 40
    clock.now += 40
    copies[0].admit(caller)


def test_a_budget_ends_with_its_month(guard: Guard, clock: Clock) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone", budget=1.0))
    guard.account(caller, AnswerUsage(True, 10, 10, cost=0.6))
    guard.admit(caller)
    guard.account(caller, AnswerUsage(True, 10, 10, cost=0.6))

    with pytest.raises(BudgetSpent, match=r"\$1\.00"):
        guard.admit(caller)
    clock.now += 31 * 86_400
    guard.admit(caller)


def test_a_key_with_a_budget_uses_no_model_whose_cost_is_unknown(guard: Guard) -> None:
    guard.admit(Caller("key:a", "a", KeyTerms("someone", budget=1.0)), "claude-haiku-5-5")
    guard.admit(Caller("key:b", "b", KeyTerms("someone")), "claude-of-next-year")
    with pytest.raises(Forbidden, match="no price of"):
        guard.admit(Caller("key:a", "a", KeyTerms("someone", budget=1.0)), "claude-of-next-year")


def test_what_another_copy_spent_is_known_within_a_minute(register: KeyStore, clock: Clock) -> None:
    one, other = Guard("keys", register, clock), Guard("keys", register, clock)
    caller = Caller("key:a", "a", KeyTerms("someone", budget=1.0))
    one.admit(caller)
    other.account(caller, AnswerUsage(True, cost=2.0))

    clock.now += CACHE_SECONDS

    with pytest.raises(BudgetSpent):
        one.admit(caller)


def test_usage_adds_up(guard: Guard, register: KeyStore, clock: Clock) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone"))
    guard.account(caller, AnswerUsage(True, 10, 20, 3, 4, 0.25))
    guard.account(caller, AnswerUsage(False, 1, 2, cost=0.5))

    usage = read_usage(register.table, "a", "2026-11")

    assert (usage.succeeded, usage.failed) == (1, 1)
    assert (usage.input_tokens, usage.output_tokens) == (11, 22)
    assert (usage.cache_write_tokens, usage.cache_read_tokens) == (3, 4)
    assert usage.cost == pytest.approx(0.75)


def test_a_signed_caller_has_no_terms_and_no_account(register: KeyStore, client: CountingClient) -> None:
    guard = Guard("iam", register)

    guard.admit(Caller("iam:x"), "any model")
    guard.account(Caller("iam:x"), AnswerUsage(True, 1, 1))

    assert client.calls == 0


CALL = {"model": "claude-opus-5-5", "max_tokens": 1000, "messages": []}
WORST = 1000 * 20 / 1e6 + 100 * 4 / 1e6


def test_of_calls_that_come_at_once_no_more_pass_than_the_budget_has_room_for(register: KeyStore, clock: Clock) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone", budget=3.5 * WORST))
    copies = [Guard("keys", register, clock) for _ in range(12)]
    passed = []
    for copy in copies:
        with suppress(TooManyRequests):
            passed.append(copy.reserve(caller, CALL, 100))

    assert len(passed) == 3
    copies[0].account(caller, AnswerUsage(True, cost=WORST / 10), [each for each in passed[:1] if each])
    assert copies[1].reserve(caller, CALL, 100)
    assert read_usage(register.table, "a", "2026-11").cost == pytest.approx(WORST / 10)


def test_a_call_that_costs_more_than_is_left_is_told_what_is_left(guard: Guard) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone", budget=WORST))
    guard.account(caller, AnswerUsage(True, cost=WORST / 2))

    with pytest.raises(BudgetSpent, match="smaller max_tokens"):
        guard.reserve(caller, CALL, 100)
    assert guard.reserve(caller, CALL | {"max_tokens": 100}, 100)


def test_what_was_reserved_is_settled_in_its_month(guard: Guard, register: KeyStore, clock: Clock) -> None:
    caller = Caller("key:a", "a", KeyTerms("someone", budget=1.0))
    reserved = guard.reserve(caller, CALL, 100)
    assert reserved
    clock.now += 31 * 86_400
    guard.account(caller, AnswerUsage(True, cost=0.01), [reserved])

    november = read_usage(register.table, "a", "2026-11")
    assert november.cost == pytest.approx(0.01)
    assert november.committed == pytest.approx(0.01)
    assert read_usage(register.table, "a", "2026-12").cost == 0


def test_a_key_without_a_budget_reserves_nothing(guard: Guard, client: CountingClient) -> None:
    assert guard.reserve(Caller("key:a", "a", KeyTerms("someone")), CALL, 100) is None
    assert client.calls == 0


def test_of_two_keys_the_one_of_sluice_counts(guard: Guard, register: KeyStore) -> None:
    key = register.create(KeyTerms("two"))
    both = {"x-api-key": "sk-ant-api03-old", "authorization": f"Bearer {key.text}"}

    assert guard.identify(both, HTTP).key_id == key.id
    assert guard.identify({"x-api-key": key.text, "authorization": "Bearer sk-ant-oat01"}, HTTP).key_id == key.id


def test_a_key_of_claudes_is_told_apart_from_a_wrong_one(guard: Guard) -> None:
    with pytest.raises(Unauthenticated, match="This is a key of Claude's; send a key of Sluice's"):
        guard.identify(sent("sk-ant-api03-old"), HTTP)
