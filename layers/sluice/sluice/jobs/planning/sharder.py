"""How a file is cut into shards: greedily, by requests, by bytes as sent, by tokens that may come back. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.jobs.sources.body import FRAME_BYTES

# Claude API: Errors. One request has at most 32 MB.
MAX_REQUEST_BYTES = 32_000_000
# A nonce in place of the shortest custom_id makes a body longer, by less than this.
_NONCE_ROOM = 64
# The results of a shard are put in order on the disk of a function (Lambda: 10 GB at most). A token is about four bytes
# of prose, and more of JSON and of code; where all answers are as long as they may be, eight bytes each still fit.
MAX_SHARD_TOKENS = 1_250_000_000


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """The most that one batch may have: requests, bytes of the whole body, and tokens of all answers together.

    Each answer may be asked for again with ``retry_max_tokens``.
    """

    max_requests: int
    max_bytes: int
    retry_max_tokens: int = 0
    max_tokens: int = MAX_SHARD_TOKENS

    @property
    def longest_line(self) -> int:
        """The bytes of the longest request that fits, without a newline."""
        return min(MAX_REQUEST_BYTES, self.max_bytes - FRAME_BYTES - _NONCE_ROOM - 1)

    def tokens_of(self, max_tokens: int) -> int:
        """Return the tokens that an answer may have in the end."""
        return max(max_tokens, self.retry_max_tokens)

    def room(self, requests: int, lines_length: int, tokens: int, each: int) -> tuple[int, int]:
        """Return how many more requests, and bytes of lines with their newlines, a shard can take.

        ``tokens`` is what the answers of those that it has may come to, ``each`` what that of a further one may.
        """
        answers = (self.max_tokens - tokens) // each
        # One request fits into any empty shard.
        further = min(self.max_requests - requests, answers if requests else max(answers, 1))
        return further, self.max_bytes - FRAME_BYTES - _NONCE_ROOM - lines_length


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
