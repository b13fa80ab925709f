"""DynamoDB and Secrets Manager over their JSON protocols, on the standard library alone.

For functions whose cold start a caller waits for: boto3 and a client cost 0.3 s and 30 MB, this some milliseconds. The
calls have boto3's words, take what its low-level clients take, and fail with an error of the same shape (``response``).
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from sluice.aws.sigv4 import Credentials, sign
from sluice.backoff import STDLIB_CLIENT
from sluice.version import USER_AGENT

_CONNECT_SECONDS = 2.0
_READ_SECONDS = 5.0
_TRIES = 3
_RETRIED_CODES = (
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TransactionConflictException",
)
# Servers close idle connections; one that has been idle for longer is not trusted with a write.
_IDLE_SECONDS = 20.0


class ServiceError(Exception):
    """What a service answered, in the shape of botocore's ClientError."""

    def __init__(self, response: dict[str, Any], operation: str) -> None:
        error = response["Error"]
        super().__init__(f"{error['Code']} when calling {operation}: {error['Message']}")
        self.response = response


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """Where the services are, and as whom they are called. ``endpoint_url`` replaces the services' own addresses."""

    region: str
    credentials: Credentials
    endpoint_url: str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> AwsAccess:
        """Read the environment of a function. Raises KeyError without credentials."""
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        return cls(region, Credentials.from_env(environ), environ.get("AWS_ENDPOINT_URL") or None)


class JsonService:
    """One service. Safe to call from several threads: each call takes an idle connection, or opens one."""

    def __init__(
        self, access: AwsAccess, service: str, target: str, version: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._access = access
        self._service = service
        self._target = target
        self._content_type = f"application/x-amz-json-{version}"
        self._url = urlsplit(access.endpoint_url or f"https://{service}.{access.region}.amazonaws.com")
        self._sleep = sleep
        self._tls: ssl.SSLContext | None = None
        self._idle: list[tuple[float, HTTPConnection]] = []
        self._lock = threading.Lock()

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation; what passes is tried again, twice. Raises ServiceError, or OSError where none answered."""
        body = json.dumps(parameters, default=_encode_bytes, separators=(",", ":")).encode()
        for attempt in range(1, _TRIES + 1):
            last = attempt == _TRIES
            try:
                status, answer = self._exchange(operation, body)
            except (OSError, HTTPException) as error:
                if last:
                    raise ConnectionError(f"{self._service} could not be reached: {type(error).__name__}") from error
            else:
                if status == 200:
                    return answer
                failure = _failure(status, answer, operation)
                if last or not _passes(failure):
                    raise failure
            self._sleep(STDLIB_CLIENT.delay(attempt))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _exchange(self, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        connection = self._take_connection()
        try:
            connection.request("POST", "/", body, self._headers(operation, body))
            response = connection.getresponse()
            payload = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append((time.monotonic(), connection))
        return response.status, _decode(payload)

    def _headers(self, operation: str, body: bytes) -> dict[str, str]:
        headers = {
            "host": self._url.netloc,
            "content-type": self._content_type,
            "x-amz-target": f"{self._target}.{operation}",
        }
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        access = self._access
        signed = sign(
            access.credentials,
            service=self._service,
            region=access.region,
            headers=headers,
            body=body,
            timestamp=timestamp,
        )
        return {**signed, "user-agent": USER_AGENT}

    def _take_connection(self) -> HTTPConnection:
        with self._lock:
            while self._idle:
                since, connection = self._idle.pop()
                if time.monotonic() - since < _IDLE_SECONDS:
                    return connection
                connection.close()
        return self._connect()

    def _connect(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            connection = HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
        else:
            self._tls = self._tls or ssl.create_default_context()
            connection = HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=self._tls)
        connection.connect()
        connection.sock.settimeout(_READ_SECONDS)
        return connection


class DynamoDb(JsonService):
    """The calls of a table (DynamoDB: API reference, version 2012-08-10)."""

    def __init__(self, access: AwsAccess, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(access, "dynamodb", "DynamoDB_20120810", "1.0", sleep)

    def get_item(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("GetItem", kwargs)

    def put_item(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("PutItem", kwargs)

    def update_item(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("UpdateItem", kwargs)

    def delete_item(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("DeleteItem", kwargs)

    def query(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("Query", kwargs)

    def transact_write_items(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("TransactWriteItems", kwargs)


class SecretsManager(JsonService):
    """Reading secrets (Secrets Manager: API reference, version 2017-10-17)."""

    def __init__(self, access: AwsAccess, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(access, "secretsmanager", "secretsmanager", "1.1", sleep)

    def get_secret_value(self, **kwargs: Any) -> dict[str, Any]:
        return self.call("GetSecretValue", kwargs)


def _encode_bytes(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a {type(value).__name__} cannot be sent to AWS")


def _decode(payload: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(payload or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _failure(status: int, answer: Mapping[str, Any], operation: str) -> ServiceError:
    """Build the error (AWS JSON protocol: ``__type`` is ``namespace#Code``)."""
    code = str(answer.get("__type") or status).rpartition("#")[2]
    message = str(answer.get("message") or answer.get("Message") or "no explanation")
    response: dict[str, Any] = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    response |= {name: answer[name] for name in ("CancellationReasons", "Item") if name in answer}
    return ServiceError(response, operation)


def _passes(failure: ServiceError) -> bool:
    status = failure.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or failure.response["Error"]["Code"] in _RETRIED_CODES
