"""The client of the Claude API, against its simulator over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from simulator.client import API_KEY, Break, Hide, Lose, Match, Refuse, Simulator, running_simulator
from sluice.claude.batches import ClaudeApi
from sluice.errors import AccountError, ClaudeError, OutcomeUnknown, PermanentError, TransientError

CREATE, RESULTS = Match(operation="batches.create"), Match(operation="batches.results")


@pytest.fixture(scope="module")
def one_simulator() -> Iterator[Simulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(one_simulator: Simulator) -> Simulator:
    one_simulator.reset()
    return one_simulator


@pytest.fixture
def claude(simulator: Simulator) -> Iterator[ClaudeApi]:
    api = ClaudeApi(simulator.base_url, lambda: API_KEY)
    yield api
    api.close()


def body(count: int = 2) -> bytes:
    params = {"model": "claude-haiku-5-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Name a river."}]}
    return json.dumps(
        {"requests": [{"custom_id": f"r-{number}", "params": params} for number in range(count)]}
    ).encode()


def create(claude: ClaudeApi, count: int = 2) -> str:
    data = body(count)
    return claude.create_batch(iter([data[:100], data[100:]]), len(data)).id


def test_a_batch_goes_out_as_a_stream_and_comes_back_described(simulator: Simulator, claude: ClaudeApi) -> None:
    data = body(3)
    batch = claude.create_batch(iter([data]), len(data), betas="files-api-2025-04-14")

    assert (batch.count, batch.ended) == (3, False) or batch.ended
    assert abs(batch.created_at - time.time()) < 60
    (call,) = simulator.requests("batches.create")
    assert call.headers["content-length"] == str(len(data))
    assert call.headers["anthropic-beta"] == "files-api-2025-04-14"
    assert call.headers["anthropic-version"] == "2026-10-21"
    assert call.key_sent_as == "bearer"


def test_batches_are_listed_newest_first_page_by_page(claude: ClaudeApi) -> None:
    made = [create(claude) for _ in range(5)]

    first = claude.list_batches(limit=3)
    rest = claude.list_batches(after_id=first.last_id, limit=3)

    assert [batch.id for batch in (*first.batches, *rest.batches)] == made[::-1]
    assert (first.has_more, rest.has_more) == (True, False)


def test_an_ended_batch_has_results_to_be_streamed(claude: ClaudeApi) -> None:
    batch_id = create(claude)

    assert claude.retrieve_batch(batch_id).ended
    with claude.results(batch_id) as chunks:
        lines = b"".join(chunks).splitlines()
    assert sorted(json.loads(line)["custom_id"] for line in lines) == ["r-0", "r-1"]


def test_a_batch_is_cancelled(simulator: Simulator, claude: ClaudeApi) -> None:
    simulator.set(batch_seconds=3600, cancel_seconds=3600)

    assert claude.cancel_batch(create(claude)).status == "canceling"


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_lost_answer_leaves_the_outcome_unknown_and_is_asked_for_once(
    simulator: Simulator, claude: ClaudeApi, how: str
) -> None:
    simulator.fail(Lose(how="reset" if how == "reset" else "close"), CREATE)

    with pytest.raises(OutcomeUnknown):
        create(claude)

    assert len(simulator.batches()) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_an_error_of_the_server_leaves_the_outcome_unknown(
    simulator: Simulator, claude: ClaudeApi, status: int
) -> None:
    simulator.fail(Refuse(status=status), CREATE)

    with pytest.raises(OutcomeUnknown) as raised:
        create(claude)

    assert raised.value.http_status == status
    assert len(simulator.requests("batches.create")) == 1


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (400, PermanentError),
        (401, AccountError),
        (403, AccountError),
        (413, PermanentError),
        (429, TransientError),
    ],
)
def test_a_refusal_says_that_nothing_was_made(
    simulator: Simulator, claude: ClaudeApi, status: int, meaning: type[ClaudeError]
) -> None:
    simulator.fail(Refuse(status=status, headers={"retry-after": "7"}), CREATE)

    with pytest.raises(meaning) as raised:
        create(claude)

    assert not isinstance(raised.value, OutcomeUnknown)
    assert (raised.value.http_status, raised.value.retry_after) == (status, 7.0)
    assert raised.value.request_id


def test_a_server_that_cannot_be_reached_has_made_nothing() -> None:
    claude = ClaudeApi("http://127.0.0.1:9", lambda: API_KEY)

    with pytest.raises(TransientError) as raised:
        create(claude)

    assert not isinstance(raised.value, OutcomeUnknown)
    claude.close()


@pytest.mark.parametrize("how", ["reset", "close"])
def test_results_that_are_cut_are_a_passing_failure(simulator: Simulator, claude: ClaudeApi, how: str) -> None:
    batch_id = create(claude, 50)
    simulator.fail(Break(how="reset" if how == "reset" else "close", after_bytes=500), RESULTS)

    def read() -> None:
        with claude.results(batch_id) as chunks:
            b"".join(chunks)

    with pytest.raises(TransientError):
        read()


@pytest.mark.parametrize("read", ["retrieve", "results"])
def test_what_is_not_there_yet_is_a_404(simulator: Simulator, claude: ClaudeApi, read: str) -> None:
    batch_id = create(claude)
    simulator.fail(Hide(seconds=60))

    def ask() -> None:
        if read == "retrieve":
            claude.retrieve_batch(batch_id)
        with claude.results(batch_id) as chunks:
            b"".join(chunks)

    with pytest.raises(AccountError) as raised:
        ask()
    assert raised.value.http_status == 404


@pytest.mark.parametrize("answer", ["", "<html>busy</html>", "[]", '"text"'])
def test_an_answer_that_is_no_json_object_is_a_passing_failure(
    simulator: Simulator, claude: ClaudeApi, answer: str
) -> None:
    simulator.fail(Refuse(status=200, body=answer), Match(operation="batches.list"))

    with pytest.raises(TransientError):
        claude.list_batches()


def test_a_model_is_described(claude: ClaudeApi) -> None:
    model = claude.model("claude-haiku-5-5")

    assert (model.id, model.lifecycle, model.takes_batches) == ("claude-haiku-5-5", "active", True)
    assert model.max_tokens
    with pytest.raises(AccountError):
        claude.model("claude-0")


def test_a_key_that_was_changed_is_taken_up_and_the_refusal_passes(simulator: Simulator) -> None:
    simulator.fail(Refuse(status=401), Match(key="sk-ant-old"))
    keys = ["sk-ant-old"]

    def renew() -> bool:
        keys[0] = API_KEY
        return True

    claude = ClaudeApi(simulator.base_url, lambda: keys[0], renew_key=renew)

    with pytest.raises(TransientError) as raised:
        claude.list_batches()
    assert raised.value.retry_after == 0
    assert claude.list_batches().batches == ()
    claude.close()


def test_without_a_key_nothing_is_asked(simulator: Simulator) -> None:
    claude = ClaudeApi(simulator.base_url, lambda: "")

    with pytest.raises(AccountError, match="empty"):
        claude.list_batches()

    assert simulator.requests() == []
    claude.close()
