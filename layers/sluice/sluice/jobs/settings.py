"""What the functions of the batch door read from their environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Claude API: Message Batches.
API_MAX_REQUESTS = 100_000
API_MAX_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Settings of the stack. Seconds, bytes, US dollars (0: no limit), percent. A function has only what it uses."""

    table: str
    inbox: str = ""
    outbox: str = ""
    topic_arn: str = ""
    event_bus: str = "default"
    plan_queue_url: str = ""
    submit_queue_url: str = ""
    collect_queue_url: str = ""
    finish_queue_url: str = ""
    claude_base_url: str = "https://api.anthropic.com"
    claude_secret: str = ""
    default_model: str = ""
    max_shard_requests: int = API_MAX_REQUESTS
    max_shard_bytes: int = API_MAX_BYTES
    max_waves: int = 4
    wave_delay_seconds: float = 60.0
    max_bad_share: float = 20.0
    max_job_cost: float = 0.0
    reconcile_after_seconds: float = 120.0
    late_after_hours: float = 25.0
    stuck_after_minutes: float = 30.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> JobSettings:
        """Read the ``SLUICE_`` variables. Raises KeyError without a table, ValueError on a limit that is no number."""

        def text(name: str, default: str = "") -> str:
            return environ.get(f"SLUICE_{name}") or default

        def number(name: str, default: float) -> float:
            value = text(name)
            try:
                return float(value) if value else default
            except ValueError:
                raise ValueError(f"SLUICE_{name} is {value!r}; it has to be a number.") from None

        return cls(
            table=environ["SLUICE_TABLE"],
            inbox=text("INBOX"),
            outbox=text("OUTBOX"),
            topic_arn=text("TOPIC_ARN"),
            event_bus=text("EVENT_BUS", "default"),
            plan_queue_url=text("PLAN_QUEUE_URL"),
            submit_queue_url=text("SUBMIT_QUEUE_URL"),
            collect_queue_url=text("COLLECT_QUEUE_URL"),
            finish_queue_url=text("FINISH_QUEUE_URL"),
            claude_base_url=text("CLAUDE_BASE_URL", "https://api.anthropic.com"),
            claude_secret=text("CLAUDE_SECRET"),
            default_model=text("DEFAULT_MODEL"),
            max_shard_requests=min(int(number("MAX_SHARD_REQUESTS", API_MAX_REQUESTS)), API_MAX_REQUESTS),
            max_shard_bytes=min(int(number("MAX_SHARD_BYTES", API_MAX_BYTES)), API_MAX_BYTES),
            max_waves=int(number("MAX_WAVES", 4)),
            wave_delay_seconds=number("WAVE_DELAY_SECONDS", 60),
            max_bad_share=number("MAX_BAD_SHARE", 20),
            max_job_cost=number("MAX_JOB_COST", 0),
            reconcile_after_seconds=number("RECONCILE_AFTER_SECONDS", 120),
            late_after_hours=number("LATE_AFTER_HOURS", 25),
            stuck_after_minutes=number("STUCK_AFTER_MINUTES", 30),
        )
