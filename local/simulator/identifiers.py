"""Ids that look like the API's own, the same in each run."""

import hashlib

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def identifier(prefix: str, *parts: object) -> str:
    """`<prefix>_01` and 22 characters that follow from `parts`."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=17).digest()
    number = int.from_bytes(digest)
    letters = []
    for _ in range(22):
        number, rest = divmod(number, 58)
        letters.append(_ALPHABET[rest])
    return f"{prefix}_01{''.join(letters)}"
