import json
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types.messages.batch_create_params import Request

from simulator.client import BatchTime, Match, Reply, Simulator

DAY = 24 * 3600


def requests(count: int, **changes: Any) -> list[Request]:
    params: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 200, **changes}
    return [
        _request(f"r{number}", {**params, "messages": [{"role": "user", "content": f"Question {number}"}]})
        for number in range(count)
    ]


def _request(custom_id: str, params: Any) -> Request:
    return {"custom_id": custom_id, "params": params}


def test_a_batch_runs_from_creation_to_results(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    simulator.set(batch_seconds=60)
    batch = claude.messages.batches.create(requests=requests(30))
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 30)
    assert (batch.expires_at - batch.created_at).total_seconds() == DAY
    simulator.advance(59)
    assert claude.messages.batches.retrieve(batch.id).processing_status == "in_progress"
    simulator.advance(1)
    batch = claude.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.succeeded, batch.request_counts.processing) == (
        "ended",
        30,
        0,
    )
    results = list(claude.messages.batches.results(batch.id))
    assert {result.custom_id for result in results} == {f"r{number}" for number in range(30)}
    assert [result.custom_id for result in results] != [f"r{number}" for number in range(30)]
    for result in results:
        assert result.result.type == "succeeded"
        assert result.result.message.usage.service_tier == "batch"


def test_what_is_wrong_with_params_shows_at_the_end(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    batch = claude.messages.batches.create(requests=requests(2, temperature=0.5))
    errors = [result.result for result in claude.messages.batches.results(batch.id)]
    for error in errors:
        assert error.type == "errored"
        assert error.error.error.type == "invalid_request_error"
        assert "temperature" in error.error.error.message
    assert simulator.batches()[0].request_counts.errored == 2


def test_a_doubled_custom_id_is_refused_and_nothing_is_made(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="custom_ids must be unique"):
        claude.messages.batches.create(requests=requests(1) * 2)
    assert simulator.batches() == []


def test_results_are_not_there_before_the_end(
    simulator: Simulator, claude: anthropic.Anthropic, http: httpx2.Client
) -> None:
    simulator.set(batch_seconds=60)
    batch = claude.messages.batches.create(requests=requests(1))
    assert batch.results_url is None
    assert http.get(f"/v1/messages/batches/{batch.id}/results").status_code == 404


def test_lists_are_paged_newest_first(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    made = [claude.messages.batches.create(requests=requests(1)).id for _ in range(7)]
    page = claude.messages.batches.list(limit=3)
    assert [batch.id for batch in page.data] == made[:3:-1]
    assert (page.has_more, page.first_id, page.last_id) == (True, made[6], made[4])
    assert [batch.id for batch in claude.messages.batches.list(limit=3)] == made[::-1]
    before = claude.messages.batches.list(limit=2, before_id=made[2])
    assert [batch.id for batch in before.data] == [made[4], made[3]]
    assert simulator.requests("batches.list")[0].query == "limit=3"


def test_cancelling_keeps_what_had_finished(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    simulator.set(batch_seconds=100, cancel_seconds=5)
    batch = claude.messages.batches.create(requests=requests(10))
    simulator.advance(30)
    canceling = claude.messages.batches.cancel(batch.id)
    assert (canceling.processing_status, canceling.cancel_initiated_at is None) == ("canceling", False)
    simulator.advance(5)
    counts = claude.messages.batches.retrieve(batch.id).request_counts
    assert (counts.succeeded, counts.canceled) == (3, 7)
    types = [result.result.type for result in claude.messages.batches.results(batch.id)]
    assert (types.count("succeeded"), types.count("canceled")) == (3, 7)
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.batches.cancel(batch.id)


def test_a_batch_is_deleted_only_after_its_end(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    simulator.set(batch_seconds=60)
    batch = claude.messages.batches.create(requests=requests(1))
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.batches.delete(batch.id)
    simulator.end_batch(batch.id)
    assert claude.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve(batch.id)
    assert list(claude.messages.batches.list()) == []
    assert simulator.batches()[0].deleted


def test_a_batch_expires_after_a_day_and_its_results_after_29(
    simulator: Simulator, claude: anthropic.Anthropic, http: httpx2.Client
) -> None:
    simulator.fail(BatchTime(seconds=2 * DAY), Match(operation="batches.create"))
    batch = claude.messages.batches.create(requests=requests(10))
    simulator.advance(DAY)
    counts = claude.messages.batches.retrieve(batch.id).request_counts
    assert (counts.succeeded, counts.expired) == (5, 5)
    assert http.get(f"/v1/messages/batches/{batch.id}/results").status_code == 200
    simulator.advance(28 * DAY)
    archived = claude.messages.batches.retrieve(batch.id)
    assert archived.archived_at
    assert archived.results_url is None
    assert http.get(f"/v1/messages/batches/{batch.id}/results").status_code == 404


def test_what_was_paid_for_is_on_record(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    batch = claude.messages.batches.create(requests=requests(3))
    list(claude.messages.batches.results(batch.id))
    list(claude.messages.batches.results(batch.id))
    (record,) = simulator.batches()
    assert (record.id, record.count, record.status, record.downloads) == (batch.id, 3, "ended", 2)
    assert (record.first_custom_id, record.last_custom_id) == ("r0", "r2")
    summary = simulator.summary()
    assert (summary.batches_created, summary.batch_requests) == (1, 3)
    assert summary.output_tokens == record.output_tokens > 0


def test_scripted_answers_reach_batches(simulator: Simulator, claude: anthropic.Anthropic) -> None:
    simulator.answer(Reply(text="Forty-two."), Match(custom_id="r1"))
    batch = claude.messages.batches.create(requests=requests(3))
    texts = {}
    for result in claude.messages.batches.results(batch.id):
        assert result.result.type == "succeeded"
        block = result.result.message.content[0]
        assert block.type == "text"
        texts[result.custom_id] = block.text
    assert texts["r1"] == "Forty-two."
    assert texts["r0"] != "Forty-two."


def test_a_batch_of_the_old_version_may_have_a_temperature(simulator: Simulator, http: httpx2.Client) -> None:
    body = {"requests": requests(1, temperature=0.5)}
    made = http.post("/v1/messages/batches", json=body, headers={"anthropic-version": "2023-06-01"}).json()
    (line,) = http.get(f"/v1/messages/batches/{made['id']}/results").text.splitlines()
    assert json.loads(line)["result"]["type"] == "succeeded"


def test_unknown_batches_are_not_found(claude: anthropic.Anthropic) -> None:
    for call in (claude.messages.batches.retrieve, claude.messages.batches.cancel, claude.messages.batches.delete):
        with pytest.raises(anthropic.NotFoundError):
            call("msgbatch_other")
