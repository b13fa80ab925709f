"""The requests of a shard, read once more for those that failed: to be sent again, or to stand beside their error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sluice.errors import SluiceError


class RawRequest(msgspec.Struct):
    """A request whose parts stay as they are."""

    custom_id: str
    params: msgspec.Raw = msgspec.Raw(b"null")


_REQUEST = msgspec.json.Decoder(RawRequest)
_PARAMS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


def read_request(line: bytes) -> RawRequest:
    return _REQUEST.decode(line)


def wanted_lines(runs: Iterable[bytes], wanted: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Yield place and line, without its newline, of the requests whose byte in ``wanted`` is not zero.

    Raises SluiceError where there are not as many lines as bytes.
    """
    place = 0
    for run in runs:
        lines = run.count(b"\n")
        if wanted[place : place + lines].strip(b"\0"):
            for offset, line in enumerate(run[:-1].split(b"\n"), place):
                if wanted[offset]:
                    yield offset, line
        place += lines
    if place != len(wanted):
        raise SluiceError(f"A shard of {len(wanted)} requests has {place} lines: its file is not the one it was.")


def with_max_tokens(line: bytes, max_tokens: int) -> bytes | None:
    """Write a request with a larger ``max_tokens``; None where it has as many already."""
    request = _REQUEST.decode(line)
    params = _PARAMS.decode(request.params)
    if int(bytes(params.get("max_tokens", b"0"))) >= max_tokens:
        return None
    params["max_tokens"] = msgspec.Raw(str(max_tokens).encode())
    return b'{"custom_id":%s,"params":%s}' % (_ENCODER.encode(request.custom_id), _ENCODER.encode(params))


def lines_of_ids(runs: Iterable[bytes]) -> Iterator[bytes]:
    """Write requests of which nothing but the ``custom_id`` is left: the file that had them is gone."""
    for run in runs:
        yield b"".join(b'{"custom_id":"%b","params":null}\n' % each for each in run.split())
