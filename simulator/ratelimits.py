"""The headers that tell how much of the rate limits is left (Claude API: Rate limits). They are shown, not enforced."""

from collections import deque

from simulator.clock import timestamp

REQUESTS_PER_MINUTE = 4_000
INPUT_TOKENS_PER_MINUTE = 2_000_000
OUTPUT_TOKENS_PER_MINUTE = 400_000


class RateLimits:
    """Calls of the last minute."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()

    def headers(self, now: float) -> dict[str, str]:
        """Count a call at `now`, and give the headers of its answer."""
        while self._calls and self._calls[0] <= now - 60:
            self._calls.popleft()
        self._calls.append(now)
        share_left = max(1 - len(self._calls) / REQUESTS_PER_MINUTE, 0.0)
        reset = timestamp(self._calls[0] + 60)
        headers = {}
        for name, limit in (
            ("requests", REQUESTS_PER_MINUTE),
            ("input-tokens", INPUT_TOKENS_PER_MINUTE),
            ("output-tokens", OUTPUT_TOKENS_PER_MINUTE),
        ):
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(int(limit * share_left))
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        return headers
