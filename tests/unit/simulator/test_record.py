from typing import Any

import pytest

from simulator import record
from simulator.record import Exchange, Journal, key_digest, public_headers


def call(journal: Journal, **changes: Any) -> Exchange:
    values: dict[str, Any] = {
        "number": journal.next_number(),
        "request_id": "req_1",
        "operation": "messages",
        "method": "POST",
        "path": "/v1/messages",
        "query": "",
        "headers": {},
        "key_sent_as": "bearer",
        "key_sha256": None,
        "started_at": 1.0,
        "monotonic": 1.0,
    }
    exchange = Exchange(**{**values, **changes})
    journal.add(exchange)
    return exchange


def test_calls_are_found_by_operation_path_and_number() -> None:
    journal = Journal()
    first, second = call(journal), call(journal, operation="models.list", path="/v1/models")
    assert journal.calls() == [first, second]
    assert journal.calls(operation="models.list") == [second]
    assert journal.calls(path="/v1/messages") == [first]
    assert journal.calls(after=first.number) == [second]


def test_numbers_go_on_after_the_calls_are_forgotten() -> None:
    journal = Journal()
    call(journal)
    journal.clear()
    assert journal.calls() == []
    assert call(journal).number == 2


def test_calls_are_counted_by_operation_and_status() -> None:
    journal = Journal()
    for status in (200, 200, 529):
        call(journal, status=status)
    assert journal.counts() == {"messages": {"200": 2, "529": 1}}


def test_only_small_and_recent_bodies_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_KEPT_BODIES", 2)
    monkeypatch.setattr(record, "_KEPT_BODY_BYTES", 10)
    journal, calls = Journal(), []
    for body in (b"old", b"large" * 3, b"new"):
        calls.append(call(journal))
        calls[-1].keep_body(body)
    assert [exchange.body for exchange in calls] == [None, None, "new"]
    assert [exchange.body_bytes for exchange in calls] == [3, 15, 3]
    assert all(exchange.body_sha256 for exchange in calls)


def test_a_call_is_open_until_it_ended_or_its_client_left() -> None:
    exchange = call(Journal())
    assert exchange.is_open
    exchange.disconnected_at = 2.0
    assert not exchange.is_open


def test_credentials_are_not_recorded() -> None:
    headers = [("x-api-key", "sk"), ("authorization", "Bearer sk"), ("accept", "*/*")]
    assert public_headers(headers) == {"accept": "*/*"}
    assert key_digest("sk") != key_digest("other")
