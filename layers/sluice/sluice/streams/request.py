"""A call of the streaming door, read from the event of a Function URL (Lambda: payload format 2.0). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

from sluice.errors import InvalidRequest, MethodNotAllowed, NotFound, RequestTooLarge
from sluice.http.cors import is_preflight
from sluice.http.request import clean_path, direct_elsewhere, read_body
from sluice.settings import DEFAULT_MAX_TOKENS

# Lambda: Function URL quotas. The event, with the body in it as a JSON string, has 6 MiB; larger ones Lambda refuses
# itself, in words of its own.
MAX_BODY_BYTES = 6_000_000

# What a URL may have stays as it came; anything else, such as the letters of other alphabets, is percent-encoded.
_URL_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

_API_TYPES = frozenset({"application/json", "text/event-stream", "application/*", "*/*"})

RouteName = Literal["messages", "count_tokens", "models", "stream", "lease"]

_ROUTES: tuple[tuple[re.Pattern[str], tuple[str, ...], RouteName], ...] = (
    (re.compile(r"/v1/messages"), ("POST",), "messages"),
    (re.compile(r"/v1/messages/count_tokens"), ("POST",), "count_tokens"),
    (re.compile(r"/v1/models(?:/[A-Za-z0-9][\w.:@-]*)?"), ("GET",), "models"),
    (re.compile(r"/v1/streams/(?P<id>[\w-]{1,100})"), ("GET", "DELETE"), "stream"),
    (re.compile(r"/v1/streams/(?P<id>[\w-]{1,100})/lease"), ("POST",), "lease"),
)
_KNOWN = (
    "This door has POST /v1/messages, POST /v1/messages/count_tokens, GET /v1/models, GET /v1/models/{id}, "
    "GET or DELETE /v1/streams/{id}, POST /v1/streams/{id}/lease."
)


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` are lower-cased; ``context`` is the event's ``requestContext``."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    context: Mapping[str, Any]

    @property
    def target(self) -> str:
        """Path and query as Claude gets them, without what a presigned URL has of the caller's credentials."""
        query = "&".join(each for each in self.query.split("&") if not _is_of_signature(each))
        return quote(f"{self.path}?{query}" if query else self.path, safe=_URL_PUNCTUATION)

    @property
    def takes_text(self) -> bool:
        """Whether the caller takes ``text/plain`` among other things, as the defaults of some programs do."""
        return "text/plain" in self._accepted

    @property
    def wants_text(self) -> bool:
        """Whether the caller is a person, who takes text and none of what the API answers with."""
        return self.takes_text and not self._accepted & _API_TYPES

    @property
    def _accepted(self) -> set[str]:
        """What the caller takes (RFC 9110, section 12.5.1), without what has the weight 0."""
        ranges = (each.lower().replace(" ", "").split(";") for each in self.headers.get("accept", "").split(","))
        return {name for name, *weights in ranges if not any(re.fullmatch(r"q=0(\.0*)?", each) for each in weights)}

    @property
    def is_preflight(self) -> bool:
        return is_preflight(self.method, self.headers)


@dataclass(frozen=True, slots=True)
class Route:
    name: RouteName
    stream_id: str = ""


def parse_event(event: Mapping[str, Any]) -> Request:
    """Read an event. Raises InvalidRequest where it is not a Function URL's."""
    context = event.get("requestContext")
    if not isinstance(context, dict) or "http" not in context:
        raise InvalidRequest("This function answers calls of its Function URL (payload format 2.0) only.")
    return Request(
        method=str(context["http"].get("method", "GET")),
        path=clean_path(str(event.get("rawPath") or "/")),
        query=str(event.get("rawQueryString") or ""),
        headers={str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        body=read_body(event),
        context=context,
    )


def find_route(request: Request) -> Route:
    """Find what is asked for. Raises NotFound, MethodNotAllowed, RequestTooLarge."""
    if len(request.body) > MAX_BODY_BYTES:
        raise RequestTooLarge(
            f"The body has {len(request.body)} bytes; this door takes {MAX_BODY_BYTES}. Name images and documents "
            "by their URL instead of sending them along, or drop a file in the Inbox."
        )
    for pattern, methods, name in _ROUTES:
        if match := pattern.fullmatch(request.path):
            if request.method not in methods:
                allow = ", ".join(methods)
                raise MethodNotAllowed(f"{request.path} takes {allow}, not {request.method}.", allow)
            return Route(name, match.groupdict().get("id") or "")
    raise NotFound(f"There is nothing at {request.path}. {direct_elsewhere(request.path, 'stream') or _KNOWN}")


def parse_params(body: bytes, *, refuse_repeats: bool = False) -> dict[str, Any]:
    """Read the body of a call about messages. Raises InvalidRequest.

    With ``refuse_repeats`` a name that stands twice is refused: two readers could take two different values for it.
    """
    if not body.strip():
        raise InvalidRequest("The body is empty; it has to be a JSON object, as for Claude's own API.")
    try:
        params = json.loads(body, object_pairs_hook=_unique if refuse_repeats else None)
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error.msg}, at line {error.lineno} column {error.colno}."
        ) from None
    except ValueError:
        # json reads an integer as int() does, which takes no more than some thousand digits.
        raise InvalidRequest("The body has an integer with too many digits.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    if not isinstance(params, dict):
        raise InvalidRequest("The body has to be a JSON object, as for Claude's own API.")
    return params


def _is_of_signature(parameter: str) -> bool:
    """Return whether a parameter is part of a signature (IAM: Signature Version 4, authentication in the query)."""
    return unquote(parameter.partition("=")[0]).lower().startswith("x-amz-")


def complete_prompt(params: Mapping[str, Any], default_model: str) -> dict[str, Any]:
    """Make whole params of what a person sends, down to ``{"prompt": …}`` alone. Raises InvalidRequest."""
    completed = {name: value for name, value in params.items() if name != "prompt"}
    if "messages" not in completed:
        prompt = params.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise InvalidRequest('Send {"prompt": "…"}, or "messages" as for Claude\'s own API.')
        completed["messages"] = [{"role": "user", "content": prompt}]
    if not completed.get("model"):
        if not default_model:
            raise InvalidRequest('"model" is missing, and this stack has no default model.')
        completed["model"] = default_model
    completed.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    return completed | {"stream": True}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidRequest("A name stands twice in one object of the body.")
    return values
