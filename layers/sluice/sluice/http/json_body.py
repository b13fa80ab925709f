"""JSON that a caller sends to the API: read once, here, with what is wrong said by the name of the field. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from sluice.errors import InvalidRequest, RequestTooLarge

# Lambda: invocation payload limit of a Function URL. Larger bodies never arrive; the limit is here for a clear answer.
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_METADATA_BYTES = 8 * 1024


def read_object(body: bytes, known: Collection[str]) -> dict[str, Any]:
    """Read a JSON object whose fields are among those ``known``. Raises InvalidRequest, or RequestTooLarge."""
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
    if unknown := sorted(document.keys() - set(known)):
        raise InvalidRequest(f"{unknown[0]}: no such field. Known are {', '.join(sorted(known))}.")
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


def text_field(document: Mapping[str, Any], name: str, limit: int) -> str | None:
    """Read a text of 1 to ``limit`` characters; None where there is none. Raises InvalidRequest."""
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > limit:
        raise InvalidRequest(f"{name}: has to be text of 1 to {limit} characters.")
    return value


def metadata_field(document: Mapping[str, Any]) -> str | None:
    """Read the caller's own data, as JSON text; None where there is none. Raises InvalidRequest."""
    value = document.get("metadata")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidRequest("metadata: has to be an object.")
    text = json.dumps(value, ensure_ascii=False)
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata: larger than {MAX_METADATA_BYTES} bytes.")
    return text
