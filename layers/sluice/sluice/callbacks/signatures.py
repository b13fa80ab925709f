"""Signatures of callbacks, as the Standard Webhooks specification writes them (symmetric, version ``v1``)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.errors import SluiceError

PREFIX = "whsec_"
# Standard Webhooks: a secret has 24 to 64 bytes.
_SECRET_BYTES = range(24, 65)


class BadWebhookSecret(SluiceError):
    """The secret that callbacks are signed with cannot be used; nothing is sent unsigned."""


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """The keys to sign with: the current one and, while a rotation lasts, the previous one."""

    keys: tuple[bytes, ...]

    @classmethod
    def parse(cls, text: str) -> WebhookSecrets:
        """Read ``{"current": "whsec_...", "previous": "whsec_..." or null}``. Raises BadWebhookSecret."""
        try:
            document = json.loads(text)
            written = [document["current"], document.get("previous")]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadWebhookSecret(
                'The webhook secret has to be JSON: {"current": "whsec_...", "previous": null}.'
            ) from None
        return cls(tuple(_key(each) for each in written if each))


def _key(written: object) -> bytes:
    try:
        key = base64.b64decode(str(written).removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) not in _SECRET_BYTES:
        raise BadWebhookSecret(f"A webhook secret has to be {PREFIX} and the base64 of 24 to 64 bytes.")
    return key


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Build the ``webhook-signature`` header: one ``v1,<base64>`` for each key, with a space between."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digests = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
