"""Secrets, read from Secrets Manager and kept for a while; the key for Claude is one of them."""

from __future__ import annotations

import re

from sluice.aws.secrets import CachedSecret
from sluice.errors import AccountError

# Visible ASCII: what can stand in a header as it is.
VISIBLE = re.compile(r"[!-~]+")


class ClaudeKey(CachedSecret):
    """The key for Claude's API."""

    def current(self) -> str:
        """Return the key. Raises AccountError where the secret holds anything else, and what ``CachedSecret`` does.

        A header that cannot be written would be quoted, key and all, by the error of whoever writes it.
        """
        key = super().current()
        if not VISIBLE.fullmatch(key) and self.renew():
            key = super().current()
        return check_key(key)


def check_key(key: str) -> str:
    """Return a key that can be sent. Raises AccountError for any other, without a word of it."""
    if VISIBLE.fullmatch(key):
        return key
    problem = "has characters that no key has: it should hold the bare key" if key else "is empty"
    raise AccountError(f"The secret with the key of Claude's API {problem}.", error_type="authentication_error")
