"""The body of the call that creates a batch."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.jobs.lines import whole_lines
from sluice.jobs.requests import batch_body, body_length

NONCE = "sluice-0-0-0123456789abcdef"
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "custom_id": st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True),
            "params": st.dictionaries(st.text(max_size=4), st.text(max_size=9), max_size=3),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(REQUESTS, st.integers(1, 200), st.sampled_from([b"\n", b"\r\n", b" \n"]), st.booleans())
def test_a_body_has_exactly_the_requests_and_the_length_that_was_foretold(
    requests: list[dict[str, object]], size: int, newline: bytes, swapped: bool
) -> None:
    ordered = [dict(reversed(each.items())) if swapped else each for each in requests]
    lines = [json.dumps(each, ensure_ascii=False).encode() + newline for each in ordered]
    data = b"".join(lines)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    body = b"".join(batch_body(whole_lines(chunks), NONCE))
    assert json.loads(body) == {"requests": [requests[0] | {"custom_id": NONCE}, *requests[1:]]}
    assert len(body) == body_length(len(data), lines[0], NONCE)


def test_a_body_without_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one request"):
        list(batch_body([], NONCE))
