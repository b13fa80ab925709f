"""The one client of the Claude API for jobs: message batches and models.

Bytes go out and come in as streams: a batch of 256 MB passes through without being held, and no result is decoded.
Nothing is retried here. A batch that is asked for twice is paid for twice, so whoever asks decides (Claude API: Message
Batches). The SDK is not used for these calls: it builds a model for each result, follows ``results_url`` to any host
with the key, and costs a second and 75 MB to import.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from sluice.claude.download import open_download
from sluice.claude.errors import error_from_response, parse_retry_after
from sluice.claude.key import VISIBLE, check_key
from sluice.claude.versions import NEWEST_VERSION
from sluice.errors import AccountError, ClaudeError, OutcomeUnknown, PermanentError, TransientError
from sluice.version import USER_AGENT

PAGE_LIMIT = 1000
_CONNECT_SECONDS = 5.0
# A batch of 256 MB is read, checked and stored before it is answered.
_READ_SECONDS = 120.0
_RESULT_CHUNK = 1 << 19
# What the id of a model is made of. Anything else names none, and might be another path of the API.
MODEL_ID = r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z"
_MODEL_ID = re.compile(MODEL_ID)


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """A message batch as listed. ``created_at`` in epoch seconds; ``count`` is the number of its requests."""

    id: str
    status: str
    created_at: float
    count: int

    @property
    def ended(self) -> bool:
        return self.status == "ended"


@dataclass(frozen=True, slots=True)
class BatchPage:
    batches: tuple[MessageBatch, ...]
    has_more: bool
    last_id: str | None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """``retires_at`` as the API writes it, or None; limits in tokens, None where the API does not say."""

    id: str
    lifecycle: str
    retires_at: str | None
    max_tokens: int | None
    takes_batches: bool


class ClaudeApi:
    """``key`` is asked for at each call. Raises fitting ClaudeErrors.

    ``renew_key`` is called where Claude refuses the key; where it says that there is another one by now, the refusal
    is a TransientError: a rotated key stops nothing.
    """

    def __init__(
        self,
        base_url: str,
        key: Callable[[], str],
        *,
        renew_key: Callable[[], bool] = lambda: False,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        timeout = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        self._key = key
        self._renew_key = renew_key
        self._base_url = base_url.rstrip("/")
        self._http = httpx2.Client(
            base_url=self._base_url, timeout=timeout, transport=transport, follow_redirects=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def create_batch(
        self, body: Iterable[bytes], length: int, betas: str | None = None, version: str | None = None
    ) -> MessageBatch:
        """Create a batch from the bytes of its body, ``length`` in all, under a version of the API.

        Raises OutcomeUnknown where the batch may exist all the same: the answer was lost, or was a 5xx. ``betas`` that
        no header can carry are a PermanentError, before anything is sent.
        """
        headers = {"content-length": str(length), "content-type": "application/json"}
        if betas:
            if not VISIBLE.fullmatch(betas):
                raise PermanentError(
                    'The "betas" in the sluice.yaml have characters that cannot be sent.',
                    error_type="invalid_request_error",
                )
            headers["anthropic-beta"] = betas
        try:
            answer = self._json("POST", "/v1/messages/batches", headers, version, content=body)
            return _message_batch(answer)
        except httpx2.ConnectError as error:
            raise TransientError(f"Claude could not be reached ({type(error).__name__}).") from error
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            raise OutcomeUnknown(f"The answer to a new batch was lost ({type(error).__name__}).") from error
        except TransientError as failure:
            if (failure.http_status or 0) < 500:
                raise
            raise OutcomeUnknown(
                str(failure),
                error_type=failure.error_type,
                http_status=failure.http_status,
                retry_after=failure.retry_after,
                request_id=failure.request_id,
            ) from failure

    def list_batches(self, after_id: str | None = None, limit: int = PAGE_LIMIT) -> BatchPage:
        """Read one page of batches, newest first."""
        query = {"limit": str(limit)} | ({"after_id": after_id} if after_id else {})
        page = self._read("GET", "/v1/messages/batches", params=query)
        return BatchPage(tuple(map(_message_batch, page["data"])), bool(page.get("has_more")), page.get("last_id"))

    def retrieve_batch(self, batch_id: str) -> MessageBatch:
        return _message_batch(self._read("GET", f"/v1/messages/batches/{batch_id}"))

    def cancel_batch(self, batch_id: str) -> MessageBatch:
        """Ask for the end of a batch. What has finished is kept; the batch ends later."""
        return _message_batch(self._read("POST", f"/v1/messages/batches/{batch_id}/cancel"))

    def delete_batch(self, batch_id: str) -> None:
        """Delete an ended batch and its results. Raises a ClaudeError with status 404 where it is not there."""
        self._read("DELETE", f"/v1/messages/batches/{batch_id}")

    @contextmanager
    def results(self, batch_id: str) -> Iterator[Iterator[bytes]]:
        """Open the results of an ended batch as chunks of JSONL, in any order of lines.

        The path is built here, not taken from ``results_url``: that could point, with the key, at any host. A
        cut while the chunks are read is a TransientError; where the connection ends early without one, the last line
        is cut.
        """
        url = f"{self._base_url}/v1/messages/batches/{batch_id}/results"
        with open_download(url, self._headers(), _CONNECT_SECONDS, _READ_SECONDS) as download:
            if download.status != 200:
                raise self._refusal(download.status, download.header, download.read_refusal())
            yield download.chunks(_RESULT_CHUNK)

    def model(self, model_id: str) -> ModelInfo:
        """Describe a model. Raises AccountError with status 404 where there is no such model.

        Nothing is asked about what is not made as the id of a model is.
        """
        if not _MODEL_ID.match(model_id):
            raise AccountError("There is no such model.", error_type="not_found_error", http_status=404)
        answer = self._read("GET", f"/v1/models/{model_id}")
        batch = (answer.get("capabilities") or {}).get("batch") or {}
        return ModelInfo(
            id=answer.get("id") or model_id,
            lifecycle=answer.get("lifecycle") or "active",
            retires_at=answer.get("retires_at"),
            max_tokens=answer.get("max_tokens"),
            takes_batches=bool(batch.get("supported", True)),
        )

    def _read(self, method: str, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make a call that is safe to make again."""
        try:
            return self._json(method, path, params=params)
        except (httpx2.HTTPError, ValueError) as error:
            raise TransientError(f"Claude could not be reached ({type(error).__name__}).") from error

    def _json(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        version: str | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        sent = self._headers(version or NEWEST_VERSION) | dict(headers or {})
        answer = self._http.request(method, path, headers=sent, **request)
        if answer.status_code != 200:
            raise self._refusal(answer.status_code, answer.headers.get, answer.content)
        decoded = answer.json()
        if not isinstance(decoded, dict):
            raise ValueError("The answer is not a JSON object.")
        return decoded

    def _refusal(self, status: int, header: Callable[[str], str | None], content: bytes) -> ClaudeError:
        failure = _failure(status, header, content)
        if status == 401 and self._renew_key():
            return TransientError("The key of Claude's API was changed.", http_status=401, retry_after=0.0)
        return failure

    def _headers(self, version: str = NEWEST_VERSION) -> dict[str, str]:
        """Return the headers of a call, with the key as the SDKs of that version send it (Claude API: Versioning)."""
        key = check_key(self._key())
        sent = {"authorization": f"Bearer {key}"} if version >= NEWEST_VERSION else {"x-api-key": key}
        return {**sent, "anthropic-version": version, "user-agent": USER_AGENT}


def _failure(status: int, header: Callable[[str], str | None], content: bytes) -> ClaudeError:
    try:
        body: object = json.loads(content)
    except ValueError:
        body = None
    return error_from_response(
        status,
        body,
        of_message=False,
        retry_after=parse_retry_after(header("retry-after")),
        request_id=header("request-id"),
    )


def _message_batch(answer: Mapping[str, Any]) -> MessageBatch:
    return MessageBatch(
        id=answer["id"],
        status=answer["processing_status"],
        created_at=datetime.fromisoformat(answer["created_at"]).timestamp(),
        count=sum(answer.get("request_counts", {}).values()),
    )
