"""How a file is cut into shards: greedily, by requests and by bytes as sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.jobs.sources.body import FRAME_BYTES

# Claude API: Errors. One request has at most 32 MB.
MAX_REQUEST_BYTES = 32_000_000
# A nonce in place of the shortest custom_id makes a body longer, by less than this.
_NONCE_ROOM = 64


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """The most that one batch may have: requests, and bytes of the whole body."""

    max_requests: int
    max_bytes: int

    @property
    def longest_line(self) -> int:
        """The bytes of the longest request that fits, without a newline."""
        return min(MAX_REQUEST_BYTES, self.max_bytes - FRAME_BYTES - _NONCE_ROOM - 1)

    def room(self, requests: int, lines_length: int) -> tuple[int, int]:
        """Return how many more requests, and bytes of lines with their newlines, a shard can take."""
        return self.max_requests - requests, self.max_bytes - FRAME_BYTES - _NONCE_ROOM - lines_length


def fitting_lines(run: bytes, count: int, max_lines: int, max_bytes: int) -> tuple[int, int]:
    """Return how many of the first lines of a run of ``count`` fit, and how many bytes they have."""
    if count <= max_lines and len(run) <= max_bytes:
        return count, len(run)
    end = run.rfind(b"\n", 0, max(max_bytes, 0)) + 1
    lines = run.count(b"\n", 0, end)
    if lines <= max_lines:
        return lines, end
    if max_lines <= 0:
        return 0, 0
    left_over = run[:end].split(b"\n", max_lines)[-1]
    return max_lines, end - len(left_over)
