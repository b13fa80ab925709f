"""What the streaming function reads from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sluice.access.guard import AuthMode

KeepStreams = Literal["off", "opt_in", "always"]
_AUTH_MODES = ("iam", "keys")
_KEEP_STREAMS = ("off", "opt_in", "always")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Settings of the door. Times in seconds unless the name says hours. ``service`` is the stack, in its metrics."""

    table: str
    claude_secret: str
    claude_base_url: str = "https://api.anthropic.com"
    default_model: str = ""
    auth_mode: AuthMode = "iam"
    allowed_origins: tuple[str, ...] = ()
    connect_retry_seconds: float = 20.0
    ping_timeout_seconds: float = 60.0
    content_timeout_seconds: float = 300.0
    keep_streams: KeepStreams = "opt_in"
    stream_ttl_hours: float = 24.0
    service: str = "sluice"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> StreamSettings:
        """Read the ``SLUICE_`` variables. Raises KeyError or ValueError with the name of what is missing or wrong."""

        def text(name: str, default: str) -> str:
            return environ.get(f"SLUICE_{name}") or default

        def number(name: str, default: float) -> float:
            try:
                return float(text(name, str(default)))
            except ValueError:
                raise ValueError(f"SLUICE_{name} has to be a number.") from None

        return cls(
            table=environ["SLUICE_TABLE"],
            claude_secret=environ["SLUICE_CLAUDE_SECRET"],
            claude_base_url=text("CLAUDE_BASE_URL", _DEFAULTS.claude_base_url),
            default_model=text("DEFAULT_MODEL", ""),
            auth_mode=cast(AuthMode, _choice("AUTH_MODE", text("AUTH_MODE", "iam"), _AUTH_MODES)),
            allowed_origins=tuple(each.strip() for each in text("ALLOWED_ORIGINS", "").split(",") if each.strip()),
            connect_retry_seconds=number("CONNECT_RETRY_SECONDS", _DEFAULTS.connect_retry_seconds),
            ping_timeout_seconds=number("PING_TIMEOUT_SECONDS", _DEFAULTS.ping_timeout_seconds),
            content_timeout_seconds=number("CONTENT_TIMEOUT_SECONDS", _DEFAULTS.content_timeout_seconds),
            keep_streams=cast(KeepStreams, _choice("KEEP_STREAMS", text("KEEP_STREAMS", "opt_in"), _KEEP_STREAMS)),
            stream_ttl_hours=number("STREAM_TTL_HOURS", _DEFAULTS.stream_ttl_hours),
            service=environ.get("POWERTOOLS_SERVICE_NAME", _DEFAULTS.service),
        )


_DEFAULTS = StreamSettings(table="", claude_secret="")


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"SLUICE_{name} has to be one of {', '.join(choices)}.")
    return value
