import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator import store as store_module
from simulator.batches import LIFETIME_SECONDS, Batch, cancel
from simulator.clock import Clock
from simulator.errors import ApiError
from simulator.faults import Fault, Result, result_entries
from simulator.intake import Intake
from simulator.rules import Match, RuleBook
from simulator.store import BatchStore


@pytest.fixture
def clock() -> Clock:
    return Clock(speed=0)


@pytest.fixture
def store(clock: Clock, tmp_path: Path) -> Iterator[BatchStore]:
    store = BatchStore(clock, tmp_path)
    yield store
    store.close()


def params(prompt: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": prompt}],
        **changes,
    }


def make(store: BatchStore, requests: dict[str, dict[str, Any]], *, seconds: float = 10, faults: Any = ()) -> Batch:
    listed = [{"custom_id": custom_id, "params": part} for custom_id, part in requests.items()]
    body = json.dumps({"requests": listed}).encode()
    path, intake = store.next_body_path(), Intake()
    path.write_bytes(body)
    intake.feed(body)
    intake.finish()
    return store.create(path, intake, "2026-10-21", seconds, faults, ())


def many(count: int) -> dict[str, dict[str, Any]]:
    return {f"r{number}": params(f"Question {number}") for number in range(count)}


def lines(batch: Batch) -> list[dict[str, Any]]:
    return [json.loads(line) for line in batch.results_path.read_bytes().splitlines()]


def types(batch: Batch) -> Counter[str]:
    return Counter(line["result"]["type"] for line in lines(batch))


def test_a_batch_ends_when_its_time_has_come(store: BatchStore, clock: Clock) -> None:
    batch = make(store, many(20))
    assert store.get(batch.id).status() == "in_progress"
    clock.advance(10)
    assert store.get(batch.id).status() == "ended"
    assert batch.ended_at == batch.due_at
    assert batch.outcomes
    assert batch.outcomes.counts.succeeded == 20


def test_results_are_shuffled_the_same_way_in_each_run(tmp_path: Path) -> None:
    orders = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        store = BatchStore(Clock(speed=0), tmp_path / run)
        batch = store.get(make(store, many(50), seconds=0).id)
        orders.append([line["custom_id"] for line in lines(batch)])
        store.close()
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0], key=lambda custom_id: int(custom_id[1:]))
    assert set(orders[0]) == set(many(50))


def test_wrong_requests_end_in_errors_and_the_others_succeed(store: BatchStore) -> None:
    requests = {
        "good": params("Hello"),
        "streamed": params("Hello", stream=True),
        "no_tokens": params("Hello", max_tokens=0),
        "retired": params("Hello", model="claude-sonnet-4-20250514"),
        "hot": params("Hello", temperature=1),
        "broken": {"model": 3},
    }
    batch = store.get(make(store, requests, seconds=0).id)
    errors = {
        line["custom_id"]: line["result"]["error"]["error"]["type"]
        for line in lines(batch)
        if "error" in line["result"]
    }
    assert errors == {
        "streamed": "invalid_request_error",
        "no_tokens": "invalid_request_error",
        "retired": "not_found_error",
        "hot": "invalid_request_error",
        "broken": "invalid_request_error",
    }


def test_a_large_batch_runs_beside_and_ends_when_it_has_run(store: BatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_SMALL_BATCH", 5)
    batch = make(store, many(50), seconds=1_000)
    running = store.end(batch.id)
    assert running is not None
    running.result(60)
    assert store.get(batch.id).status() == "ended"
    assert types(batch) == {"succeeded": 50}


def test_half_of_a_batch_that_takes_two_days_expires(store: BatchStore, clock: Clock) -> None:
    batch = make(store, many(40), seconds=2 * LIFETIME_SECONDS)
    clock.advance(LIFETIME_SECONDS)
    assert types(store.get(batch.id)) == {"succeeded": 20, "expired": 20}


def test_what_had_finished_before_a_cancellation_succeeds(store: BatchStore, clock: Clock) -> None:
    batch = make(store, many(40), seconds=100)
    clock.advance(25)
    cancel(store.get(batch.id), clock.now(), 0)
    assert types(store.get(batch.id)) == {"succeeded": 10, "canceled": 30}
    assert batch.status() == "ended"


def test_a_share_of_requests_fails_once_and_succeeds_in_the_next_wave(store: BatchStore) -> None:
    book: RuleBook[Fault] = RuleBook("fault")
    book.add([Fault(action=Result(error_type="overloaded_error"), share=0.3, times=1)])
    first = store.get(make(store, many(100), seconds=0, faults=result_entries(book)).id)
    failed = [line["custom_id"] for line in lines(first) if line["result"]["type"] == "errored"]
    assert 15 < len(failed) < 45
    again = {custom_id: many(100)[custom_id] for custom_id in failed}
    second = store.get(make(store, again, seconds=0, faults=result_entries(book)).id)
    assert types(second) == {"succeeded": len(failed)}


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (Result(outcome="errored", error_type="api_error"), ("errored", "api_error")),
        (Result(outcome="expired"), ("expired", None)),
        (Result(outcome="canceled"), ("canceled", None)),
        (Result(outcome="max_tokens"), ("succeeded", "max_tokens")),
        (Result(outcome="refusal"), ("succeeded", "refusal")),
    ],
)
def test_each_outcome_can_be_scripted_for_a_custom_id(
    store: BatchStore, result: Result, outcome: tuple[str, str | None]
) -> None:
    book: RuleBook[Fault] = RuleBook("fault")
    book.add([Fault(action=result, match=Match(custom_id="r[12]"))])
    batch = store.get(make(store, many(4), seconds=0, faults=result_entries(book)).id)
    found = {line["custom_id"]: line["result"] for line in lines(batch)}
    assert found["r1"]["type"] == found["r2"]["type"] == outcome[0]
    assert (found["r0"]["type"], found["r0"]["message"]["stop_reason"]) == ("succeeded", "end_turn")
    detail = found["r1"].get("error", {}).get("error", {}).get("type") or found["r1"].get("message", {}).get(
        "stop_reason"
    )
    assert detail == outcome[1]


def test_a_deleted_batch_is_not_found_but_stays_on_record(store: BatchStore) -> None:
    batch = store.get(make(store, many(2), seconds=0).id)
    store.delete(batch)
    with pytest.raises(ApiError) as caught:
        store.get(batch.id)
    assert caught.value.status == 404
    assert [(record.id, record.deleted, record.count) for record in store.records()] == [(batch.id, True, 2)]
    assert not batch.results_path.exists()


def test_the_record_says_what_was_paid_for(store: BatchStore) -> None:
    make(store, many(3), seconds=0)
    (record,) = store.records()
    assert (record.count, record.first_custom_id, record.last_custom_id, record.status) == (3, "r0", "r2", "ended")
    assert record.output_tokens > 0


def test_ids_are_not_used_again_after_a_reset(store: BatchStore) -> None:
    first = make(store, many(1))
    store.clear()
    assert store.newest_first() == []
    assert make(store, many(1)).id != first.id
    assert not first.body_path.exists()


def test_the_newest_batch_comes_first(store: BatchStore) -> None:
    made = [make(store, many(1)).id for _ in range(3)]
    assert [batch.id for batch in store.newest_first()] == made[::-1]
