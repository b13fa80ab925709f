import json

import pytest

from simulator.errors import MESSAGE_OF_TYPE, TYPE_OF_STATUS, ApiError, error_body
from simulator.identifiers import identifier
from simulator.ratelimits import REQUESTS_PER_MINUTE, RateLimits


def test_an_error_has_the_shape_of_the_api() -> None:
    body = error_body("rate_limit_error", "Slow down", "req_1", {"error_code": "enforced_spend_limit_reached"})
    assert json.loads(body) == {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "Slow down",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
        "request_id": "req_1",
    }


def test_details_are_left_out_where_there_are_none() -> None:
    assert "details" not in json.loads(error_body("api_error", "x", "req_1"))["error"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 429, 500, 504, 529])
def test_every_status_has_a_type_and_every_type_a_message(status: int) -> None:
    error = ApiError(status, "x")
    assert error.error_type == TYPE_OF_STATUS[status]
    assert MESSAGE_OF_TYPE[error.error_type]


def test_ids_follow_from_their_parts() -> None:
    assert identifier("req", 1) == identifier("req", 1) != identifier("req", 2)
    assert identifier("msg", "a", "b").startswith("msg_01")
    assert len(identifier("msg", "a")) == 28
    assert identifier("msg", "a").removeprefix("msg_").isalnum()


def test_rate_limits_count_the_calls_of_a_minute() -> None:
    limits = RateLimits()
    assert limits.headers(0.0)["anthropic-ratelimit-requests-remaining"] == str(REQUESTS_PER_MINUTE - 1)
    assert limits.headers(30.0)["anthropic-ratelimit-requests-remaining"] == str(REQUESTS_PER_MINUTE - 2)
    headers = limits.headers(61.0)
    assert headers["anthropic-ratelimit-requests-remaining"] == str(REQUESTS_PER_MINUTE - 2)
    assert headers["anthropic-ratelimit-requests-reset"] == "1970-01-01T00:01:30Z"
