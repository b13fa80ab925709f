"""Secrets, read from Secrets Manager and kept for a while; the key for Claude is one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from sluice.errors import AwsUnavailable

REFRESH_SECONDS = 300.0
# However many calls fail with a key that Claude refuses, the secret is read again this often at most.
_RENEW_SECONDS = 10.0


class SecretsClient(Protocol):
    """The one call that is made, in the words of boto3's client."""

    def get_secret_value(self, **kwargs: Any) -> Any: ...


class CachedSecret:
    """A secret, read at its first use, and again each ``refresh_seconds``, so that a rotated one is picked up."""

    def __init__(
        self,
        client: SecretsClient,
        secret_id: str,
        refresh_seconds: float = REFRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._secret_id = secret_id
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._value: str | None = None
        self._read_at = 0.0

    def current(self) -> str:
        """Return it. Raises AwsUnavailable if it was never read and cannot be; an old one is better than none."""
        if self._value is None or self._clock() - self._read_at >= self._refresh_seconds:
            self._read()
        assert self._value is not None
        return self._value

    def renew(self) -> bool:
        """Read it again because it was refused; return whether it has changed."""
        if self._clock() - self._read_at < _RENEW_SECONDS:
            return False
        before = self._value
        self._read()
        return self._value != before

    def _read(self) -> None:
        try:
            answer = self._client.get_secret_value(SecretId=self._secret_id)
            value = str(answer["SecretString"]).strip()
        except Exception as error:  # noqa: BLE001  boto3's errors and the light client's have no common class
            if self._value is None:
                raise AwsUnavailable(f"A secret of the stack could not be read ({type(error).__name__}).") from None
            self._read_at = self._clock()
            return
        self._value, self._read_at = value, self._clock()
