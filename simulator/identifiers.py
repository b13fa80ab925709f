"""Ids that look like the API's own, the same in each run."""

import base64
import hashlib


def identifier(prefix: str, *parts: object) -> str:
    """`<prefix>_01` and 22 letters and digits that follow from `parts`."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=18).digest()
    return f"{prefix}_01{base64.b64encode(digest, b'Ab')[:22].decode()}"
