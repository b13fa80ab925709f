"""The key of Claude's API, out of Secrets Manager and never in an environment variable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from sluice.errors import SystemicFailure

# A rotated key is picked up within this time without a new deploy.
REFRESH_SECONDS = 300.0


class SecretsClient(Protocol):
    """boto3's client, or the light one of the streaming door."""

    def get_secret_value(self, **kwargs: Any) -> Any: ...


class SecretKey:
    """A key that is read when it is first needed, and again when it has grown old."""

    def __init__(self, client: SecretsClient, secret_id: str, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._secret_id = secret_id
        self._now = now
        self._value = ""
        self._read_at = float("-inf")

    def read(self) -> str:
        """Return the key. Raises SystemicFailure where the secret is empty."""
        if self._now() - self._read_at > REFRESH_SECONDS:
            self._value = str(self._client.get_secret_value(SecretId=self._secret_id)["SecretString"]).strip()
            self._read_at = self._now()
        if not self._value:
            raise SystemicFailure(
                "There is no key for Claude's API: put one into the stack's secret.", error_type="authentication_error"
            )
        return self._value

    def forget(self) -> None:
        """Read the secret again at the next call, for instance after Claude refused the key."""
        self._read_at = float("-inf")
