"""The text of a client key: ``sk-sluice-<id>-<secret>``. Pure.

The secret is 24 random bytes and an 8-byte seal: an HMAC over the id and the random bytes, with a pepper that only the
stack knows. A key that nobody made fails its seal, and so is refused without a read of the table, whatever id it names.
The seal saves money, no more: who a key belongs to is decided by the hash of the whole key, 192 bits of it random.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

PREFIX = "sk-sluice-"
PEPPER_BYTES = 32
_ID_LENGTH = 8
_SECRET_LENGTH = 43
_RANDOM_BYTES = 24
_SEAL_BYTES = 8
_LENGTH = len(PREFIX) + _ID_LENGTH + 1 + _SECRET_LENGTH


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key as a client sends it, taken apart. It has the form of a key; nothing else is known of it yet."""

    id: str
    text: str = field(repr=False)

    @property
    def hash(self) -> str:
        """What is kept of the key. Its secret is long and random, so that a plain hash cannot be searched."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def is_sealed_with(self, pepper: bytes) -> bool:
        """Return whether the key was made with this pepper, in constant time."""
        secret = urlsafe_b64decode(self.text[-_SECRET_LENGTH:] + "=")
        return hmac.compare_digest(secret[_RANDOM_BYTES:], _seal(pepper, self.id, secret[:_RANDOM_BYTES]))

    def matches(self, kept_hash: str) -> bool:
        """Compare with the hash that is kept, in constant time."""
        return hmac.compare_digest(self.hash, kept_hash)


def make_key(pepper: bytes) -> KeyText:
    """Make a key from the system's randomness."""
    key_id = b32encode(os.urandom(5)).decode("ascii").lower()
    randomness = os.urandom(_RANDOM_BYTES)
    secret = urlsafe_b64encode(randomness + _seal(pepper, key_id, randomness)).decode("ascii").rstrip("=")
    return KeyText(key_id, f"{PREFIX}{key_id}-{secret}")


def parse_key(text: str) -> KeyText | None:
    """Take a key apart; None for what has not the form of one."""
    key_id, dash, secret = text[len(PREFIX) :][:_ID_LENGTH], text[-_SECRET_LENGTH - 1 :][:1], text[-_SECRET_LENGTH:]
    if len(text) != _LENGTH or not text.startswith(PREFIX) or dash != "-" or not key_id.isalnum() or not text.isascii():
        return None
    return KeyText(key_id, text) if secret.replace("-", "").replace("_", "").isalnum() else None


def _seal(pepper: bytes, key_id: str, randomness: bytes) -> bytes:
    return hmac.new(pepper, key_id.encode() + randomness, hashlib.sha256).digest()[:_SEAL_BYTES]
