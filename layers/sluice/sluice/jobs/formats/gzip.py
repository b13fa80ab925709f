"""Files packed with gzip, unpacked as they pass (RFC 1952)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from sluice.errors import UnreadableInput

# A few bytes can unpack to a thousand times as many: never more than this at once.
_CHUNK_BYTES = 1 << 18
_WITH_GZIP_HEADER = 16 + zlib.MAX_WBITS
# RFC 1952, 2.3.1: the two bytes by which a file is known, and the only method there is.
GZIP_MARK = b"\x1f\x8b\x08"


def unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the unpacked bytes, of one gzip member after the other. Raises UnreadableInput where they are damaged."""
    unpacker, begun = zlib.decompressobj(_WITH_GZIP_HEADER), False
    for chunk in chunks:
        rest = chunk
        while rest:
            if unpacker.eof:
                # Writers of tapes fill up with zeros, which are no member (GNU gzip: trailing zeros).
                rest = rest.lstrip(b"\0")
                unpacker = zlib.decompressobj(_WITH_GZIP_HEADER) if rest else unpacker
                continue
            begun = True
            if data := _unpack_some(unpacker, rest):
                yield data
            rest = unpacker.unconsumed_tail or unpacker.unused_data
    if begun and not unpacker.eof:
        raise UnreadableInput("The file ends in the middle: it is not a whole .gz file. Drop it again.")


def _unpack_some(unpacker: zlib._Decompress, chunk: bytes) -> bytes:
    try:
        return unpacker.decompress(chunk, _CHUNK_BYTES)
    except zlib.error:
        raise UnreadableInput("The file cannot be unpacked: it is damaged, or no .gz file.") from None


def skip_bytes(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """Yield the chunks without the first ``count`` bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:]
        count = max(count - len(chunk), 0)
