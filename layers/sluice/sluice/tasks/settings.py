"""What the functions of the task door read from their environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.tasks.callbacks.addresses import LOCAL_ORIGIN, AddressPolicy

_ANY_PUBLIC = AddressPolicy()


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """Settings of the stack. Hours, seconds, counts. A function has only what it uses."""

    table: str
    outbox: str = ""
    topic_arn: str = ""
    task_queue_url: str = ""
    callback_queue_url: str = ""
    claude_base_url: str = "https://api.anthropic.com"
    claude_secret: str = ""
    webhook_secret: str = ""
    default_model: str = ""
    auth_mode: str = "iam"
    api_base_url: str = ""
    allowed_origins: tuple[str, ...] = ()
    task_ttl_hours: float = 168.0
    task_max_attempts: int = 10
    callback_max_hours: float = 24.0
    callbacks: AddressPolicy = _ANY_PUBLIC
    ping_timeout_seconds: float = 60.0
    content_timeout_seconds: float = 300.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> TaskSettings:
        """Read the ``SLUICE_`` variables. Raises KeyError without a table, ValueError on a value that cannot be."""

        def text(name: str, default: str = "") -> str:
            return environ.get(f"SLUICE_{name}") or default

        return cls(
            table=environ["SLUICE_TABLE"],
            outbox=text("OUTBOX"),
            topic_arn=text("TOPIC_ARN"),
            task_queue_url=text("TASK_QUEUE_URL"),
            callback_queue_url=text("CALLBACK_QUEUE_URL"),
            claude_base_url=text("CLAUDE_BASE_URL", "https://api.anthropic.com"),
            claude_secret=text("CLAUDE_SECRET"),
            webhook_secret=text("WEBHOOK_SECRET"),
            default_model=text("DEFAULT_MODEL"),
            auth_mode=text("AUTH_MODE", "iam"),
            api_base_url=text("API_BASE_URL").rstrip("/"),
            allowed_origins=_listed(text("ALLOWED_ORIGINS")),
            task_ttl_hours=_number(environ, "TASK_TTL_HOURS", 168),
            task_max_attempts=int(_number(environ, "TASK_MAX_ATTEMPTS", 10)),
            callback_max_hours=_number(environ, "CALLBACK_MAX_HOURS", 24),
            callbacks=AddressPolicy(
                tuple(each.lower() for each in _listed(text("CALLBACK_HOSTS"))), _local(text("CALLBACK_LOCAL"))
            ),
            ping_timeout_seconds=_number(environ, "PING_TIMEOUT_SECONDS", 60),
            content_timeout_seconds=_number(environ, "CONTENT_TIMEOUT_SECONDS", 300),
        )


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    value = environ.get(f"SLUICE_{name}") or default
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"SLUICE_{name} is {value!r}; it has to be a number.") from None


def _listed(value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())


def _local(value: str) -> bool:
    if value not in ("", LOCAL_ORIGIN):
        raise ValueError(f"SLUICE_CALLBACK_LOCAL is {value!r}; it can only be empty or {LOCAL_ORIGIN}.")
    return value == LOCAL_ORIGIN
