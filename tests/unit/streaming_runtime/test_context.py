from __future__ import annotations

import time

from streaming_runtime.context import LambdaContext

ENVIRON = {
    "AWS_LAMBDA_FUNCTION_NAME": "stream_messages",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/stream_messages",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/22/[7]0",
}


def test_a_context_has_the_names_of_lambdas_own() -> None:
    context = LambdaContext("id-1", 5, "arn:x", ENVIRON)
    assert (context.aws_request_id, context.deadline_ms, context.invoked_function_arn) == (
        "id-1",
        5,
        "arn:x",
    )
    assert (context.function_name, context.function_version) == ("stream_messages", "7")
    assert context.memory_limit_in_mb == 128
    assert (context.log_group_name, context.log_stream_name) == ("/aws/lambda/stream_messages", "2026/11/22/[7]0")


def test_the_time_that_remains_is_counted_to_the_deadline_and_not_below_zero() -> None:
    assert LambdaContext("id", 0, "", {}).get_remaining_time_in_millis() == 0
    deadline = int(time.time() * 1000) + 60_000
    assert 0 < LambdaContext("id", deadline, "", {}).get_remaining_time_in_millis() <= 60_000
