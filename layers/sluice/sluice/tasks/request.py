"""What a caller may send to ``POST /v1/tasks``: read once, here, into values that the rest can trust."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.errors import InvalidRequest, RequestTooLarge
from sluice.settings import DEFAULT_MAX_TOKENS
from sluice.tasks.callbacks.addresses import AddressPolicy, parse_callback_url

# Lambda: invocation payload limit of a Function URL. Larger bodies never arrive; the limit is here for a clear answer.
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_METADATA_BYTES = 8 * 1024
MAX_DELAY_SECONDS = 7 * 24 * 3600
MAX_TOPIC_ATTRIBUTE = 256
MAX_IDEMPOTENCY_KEY = 255
# Longer than any model's name. Incidents are kept under it, and Claude's errors quote it.
MAX_MODEL = 256
_FIELDS = frozenset({"params", "prompt", "callback_url", "topic_attribute", "metadata", "delay_seconds"})
# Headers of the call that Claude has to see too: they decide how it reads the params.
PASSED_ON = ("anthropic-version", "anthropic-beta")


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A request that is well formed. ``params`` are those of Claude's Messages; ``metadata`` is JSON text."""

    params: Mapping[str, Any]
    headers: Mapping[str, str]
    fingerprint: str
    callback_url: str | None = None
    topic_attribute: str | None = None
    metadata: str | None = None
    delay_seconds: float = 0.0

    @property
    def model(self) -> str | None:
        return self.params.get("model")

    def document(self) -> bytes:
        """Encode what the worker needs to call Claude."""
        return json.dumps({"params": self.params, "headers": self.headers}, ensure_ascii=False).encode()


def parse_task_request(body: bytes, headers: Mapping[str, str], policy: AddressPolicy) -> TaskRequest:
    """Read a body and the headers (lower-cased). Raises InvalidRequest naming the field, or RequestTooLarge."""
    document = _decode(body)
    if unknown := sorted(document.keys() - _FIELDS):
        raise InvalidRequest(f"{unknown[0]}: no such field. Known are {', '.join(sorted(_FIELDS))}.")
    callback_url = _text(document, "callback_url", 2048)
    topic_attribute = _text(document, "topic_attribute", MAX_TOPIC_ATTRIBUTE)
    if callback_url and topic_attribute:
        raise InvalidRequest("topic_attribute: a task calls back to a URL or to the topic, not to both.")
    if callback_url:
        parse_callback_url(callback_url, policy)
    return TaskRequest(
        params=_params(document),
        headers={name: headers[name] for name in PASSED_ON if headers.get(name)},
        fingerprint=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
        callback_url=callback_url,
        topic_attribute=topic_attribute,
        metadata=_metadata(document),
        delay_seconds=_delay(document),
    )


def parse_idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Read the ``Idempotency-Key`` header. Raises InvalidRequest where it is too long."""
    key = headers.get("idempotency-key") or None
    if key and len(key) > MAX_IDEMPOTENCY_KEY:
        raise InvalidRequest(f"Idempotency-Key: longer than {MAX_IDEMPOTENCY_KEY} characters.")
    return key


def _decode(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken.")
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
        # A lone surrogate is legal in JSON's escapes, and in no text that can be sent on.
        text = json.dumps(document, ensure_ascii=False)
        text.encode()
        if "Infinity" in text:
            _refuse_infinity(document, "")
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise InvalidRequest("The body has to be a JSON object.")
    return document


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which are Python's and not JSON's."""
    raise ValueError(name)


def _refuse_infinity(value: object, path: str) -> None:
    """Refuse 1e999 and the like: it is JSON, and is read as infinity, which cannot be written as JSON again."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(f"{path or 'The body'}: the number is too large.")
    if isinstance(value, dict):
        for name, each in value.items():
            _refuse_infinity(each, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for number, each in enumerate(value):
            _refuse_infinity(each, f"{path}[{number}]")


def _params(document: Mapping[str, Any]) -> dict[str, Any]:
    """Take ``params``, or make them of a plain ``prompt``. What Claude itself checks is left to Claude."""
    if ("params" in document) == ("prompt" in document):
        raise InvalidRequest("params: a task has either params, as for /v1/messages, or a prompt.")
    if "prompt" in document:
        prompt = document["prompt"]
        if not isinstance(prompt, str) or not prompt.strip():
            raise InvalidRequest("prompt: has to be text.")
        return {"max_tokens": DEFAULT_MAX_TOKENS, "messages": [{"role": "user", "content": prompt}]}
    params = document["params"]
    if not isinstance(params, dict):
        raise InvalidRequest("params: has to be an object, as for /v1/messages.")
    if not isinstance(params.get("messages"), list) or not params["messages"]:
        raise InvalidRequest("params.messages: has to be a list with at least one message.")
    if type(params.get("max_tokens")) is not int or params["max_tokens"] < 1:
        raise InvalidRequest("params.max_tokens: has to be a whole number above 0.")
    if "model" in params and (not isinstance(params["model"], str) or not params["model"]):
        raise InvalidRequest("params.model: has to be the name of a model; leave it out for the default.")
    if len(params.get("model", "")) > MAX_MODEL:
        raise InvalidRequest(f"params.model: longer than the {MAX_MODEL} characters that the name of a model may have.")
    # Streaming is how Sluice reads the answer, and no choice of the caller's.
    return {name: value for name, value in params.items() if name != "stream"}


def _text(document: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > limit:
        raise InvalidRequest(f"{name}: has to be text of 1 to {limit} characters.")
    return value


def _metadata(document: Mapping[str, Any]) -> str | None:
    value = document.get("metadata")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidRequest("metadata: has to be an object.")
    text = json.dumps(value, ensure_ascii=False)
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata: larger than {MAX_METADATA_BYTES} bytes.")
    return text


def _delay(document: Mapping[str, Any]) -> float:
    value = document.get("delay_seconds")
    if value is None:
        return 0.0
    if type(value) not in (int, float) or not 0 <= value <= MAX_DELAY_SECONDS:
        raise InvalidRequest(f"delay_seconds: has to be a number from 0 to {MAX_DELAY_SECONDS}.")
    return float(value)
