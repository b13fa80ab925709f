"""The client of the Claude API for jobs: what it never lets out, whatever it is given."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from sluice.claude.batches import ClaudeApi
from sluice.errors import AccountError, PermanentError

MODEL = {"id": "claude-haiku-5-5", "max_tokens": 64_000}
BATCH = {"id": "b", "processing_status": "in_progress", "created_at": "2026-11-23T00:00:00Z"}


class Claude:
    """Claude's API, which notes what reaches it."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.requests: list[httpx2.Request] = []

    def api(self, key: str = "key") -> ClaudeApi:
        def answer(request: httpx2.Request) -> httpx2.Response:
            request.read()
            self.requests.append(request)
            return httpx2.Response(200, json=self.answer)

        return ClaudeApi("http://claude", lambda: key, transport=httpx2.MockTransport(answer))


@pytest.mark.parametrize("name", ["claude-haiku-5-5", "claude-3.5_x:1", "a", "A" * 128])
def test_a_model_is_asked_for_by_its_id(name: str) -> None:
    claude = Claude(**MODEL)
    assert claude.api().model(name).max_tokens == 64_000
    assert [request.url.path for request in claude.requests] == [f"/v1/models/{name}"]


@pytest.mark.parametrize("name", ["", "m\n", " ", "?", "#x", "a/b", "..", "../messages", "ä", "a\0", "%2e", "x" * 129])
def test_what_is_no_id_of_a_model_reaches_no_path(name: str) -> None:
    claude = Claude(**MODEL)
    with pytest.raises(AccountError) as failure:
        claude.api().model(name)
    assert failure.value.http_status == 404
    assert not claude.requests


def test_betas_go_as_a_header() -> None:
    claude = Claude(**BATCH)
    claude.api().create_batch([b"{}"], 2, "one-2026,two")
    assert claude.requests[0].headers["anthropic-beta"] == "one-2026,two"


@pytest.mark.parametrize("betas", ["für-mich", "a\nb", "a b", "\ud800"])
def test_betas_that_no_header_can_carry_are_refused_for_good(betas: str) -> None:
    claude = Claude(**BATCH)
    with pytest.raises(PermanentError, match=r'"betas" in the sluice\.yaml') as failure:
        claude.api().create_batch([b"{}"], 2, betas)
    assert failure.value.error_type == "invalid_request_error"
    assert not claude.requests


@pytest.mark.parametrize("key", ["kéy", "key\n", "key\r\nx: y", "\ud800"])
def test_a_key_that_no_header_can_carry_waits_for_a_person(key: str) -> None:
    claude = Claude(**BATCH)
    with pytest.raises(AccountError, match="characters that no key has") as failure:
        claude.api(key).create_batch([b"{}"], 2)
    assert failure.value.error_type == "authentication_error"
    assert key not in str(failure.value)
    assert not claude.requests
