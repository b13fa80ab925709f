"""The API function's own time for a task: its handler, unmodified, with an AWS that answers at once.

``python -m bench.tasks.own_time`` prints the median and the 99th percentile of a thousand calls, in milliseconds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import statistics
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from botocore import handlers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from local.template import ROOT

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "SLUICE_TABLE": "sluice",
    "SLUICE_OUTBOX": "outbox",
    "SLUICE_TASK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/tasks",
    "SLUICE_DEFAULT_MODEL": "claude-haiku-5-5",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


class _Context:
    aws_request_id = "1"
    function_name = "serve_api"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:serve_api"


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def answer_at_once(request: Any, **_: object) -> AWSResponse:
    """Stand in for DynamoDB and SQS: all is well."""
    document: dict[str, str] = {}
    if "sqs" in request.url:
        message = json.loads(request.body)["MessageBody"].encode()
        document = {"MessageId": "1", "MD5OfMessageBody": hashlib.md5(message, usedforsecurity=False).hexdigest()}
    raw: Any = _Body(json.dumps(document).encode())
    return AWSResponse(request.url, 200, HTTPHeaders(), raw)


def main() -> None:
    os.environ |= _ENVIRONMENT
    handlers.BUILTIN_HANDLERS.append(("before-send", answer_at_once))
    path = ROOT / "functions/serve_api/handler.py"
    spec = importlib.util.spec_from_file_location("serve_api_handler", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    event = json.loads((ROOT / "events/serve_api_create_prompt.json").read_text())
    waits = []
    for number in range(1_100):
        begun = perf_counter()
        assert module.handler(event, _Context())["statusCode"] == 202
        if number >= 100:
            waits.append((perf_counter() - begun) * 1000)
    p50, p99 = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
    print(f"serve_api's own time for POST /v1/tasks: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
