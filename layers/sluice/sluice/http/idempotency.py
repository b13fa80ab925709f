"""``Idempotency-Key``: a call that is made again with the same key and body finds what its first one made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sluice.errors import InvalidRequest

MAX_IDEMPOTENCY_KEY = 255


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's ``Idempotency-Key``, hashed together with the caller, and what its first call asked."""

    key_hash: str
    fingerprint: str

    @classmethod
    def of(cls, caller: str, key: str, fingerprint: str) -> Idempotency:
        return cls(hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest(), fingerprint)


def parse_idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Read the ``Idempotency-Key`` header. Raises InvalidRequest where it is too long."""
    key = headers.get("idempotency-key") or None
    if key and len(key) > MAX_IDEMPOTENCY_KEY:
        raise InvalidRequest(f"Idempotency-Key: longer than {MAX_IDEMPOTENCY_KEY} characters.")
    return key


def fingerprint_of(document: Mapping[str, object]) -> str:
    """Return what two calls have in common if and only if they ask the same."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
