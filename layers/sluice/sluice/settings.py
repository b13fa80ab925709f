"""What the functions of each door read from their environment.

A field is read from ``SLUICE_`` and its name in upper case. Its default is the only one, and the same as that of the
template's parameter. Its type says what a value has to be, and ``_setting`` what else there is to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

# Claude API: Message Batches.
API_MAX_REQUESTS = 100_000
API_MAX_BYTES = 256_000_000
# What a request may be answered with where it names no ``max_tokens``, as a bare prompt does, behind each door.
DEFAULT_MAX_TOKENS = 4096

AuthMode = Literal["iam", "keys"]
KeepStreams = Literal["off", "opt_in", "always"]
CallbackLocal = Literal["", "http://127.0.0.1"]


def _setting(default: Any, *, at_most: float | None = None, may_be_empty: bool = False, variable: str = "") -> Any:
    """Describe a field. A number above ``at_most`` is cut to it. An empty variable means the default, unless it may be.

    ``variable`` is the whole name of the variable, where it is not that of the field.
    """
    return field(default=default, metadata={"at_most": at_most, "may_be_empty": may_be_empty, "variable": variable})


class _Settings:
    """Reads the fields of a dataclass."""

    __slots__ = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables. Raises KeyError or ValueError with the name of what is missing or wrong."""
        kinds = get_type_hints(cls)
        described: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]  # each kind of settings is a dataclass
        return cls(**{each.name: _read(each, kinds[each.name], environ) for each in described})


def _read(described: Field[Any], kind: Any, environ: Mapping[str, str]) -> Any:
    rules = described.metadata
    variable = rules.get("variable") or f"SLUICE_{described.name.upper()}"
    if described.default is MISSING:
        return environ[variable]
    value = environ.get(variable)
    if value is None or (not value and not rules.get("may_be_empty")):
        return described.default
    if kind in (int, float):
        return _number(variable, value, kind, rules.get("at_most"))
    if get_origin(kind) is Literal:
        return _choice(variable, value, get_args(kind))
    return _listed(value) if get_origin(kind) is tuple else value


def _number(variable: str, value: str, kind: type[int | float], at_most: float | None) -> int | float:
    try:
        number = kind(float(value))
    except (ValueError, OverflowError):
        raise ValueError(f"{variable} is {value!r}; it has to be a number.") from None
    return number if at_most is None else min(number, kind(at_most))


def _choice(variable: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        listed = ", ".join(each or "empty" for each in choices)
        raise ValueError(f"{variable} is {value!r}; it has to be one of {listed}.")
    return value


def _listed(value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())


@dataclass(frozen=True, slots=True)
class JobSettings(_Settings):
    """Settings of the jobs. Seconds, bytes, US dollars (0: no limit), percent. A function has only what it uses."""

    table: str
    outbox: str = ""
    topic_arn: str = ""
    event_bus: str = "default"
    plan_queue_url: str = ""
    submit_queue_url: str = ""
    collect_queue_url: str = ""
    finish_queue_url: str = ""
    claude_base_url: str = "https://api.anthropic.com"
    claude_secret: str = ""
    default_model: str = _setting("claude-haiku-5-5", may_be_empty=True)
    max_shard_requests: int = _setting(100_000, at_most=API_MAX_REQUESTS)
    max_shard_bytes: int = _setting(250_000_000, at_most=API_MAX_BYTES)
    settings_wait_seconds: float = 5.0
    max_waves: int = 4
    wave_delay_seconds: float = 120.0
    max_bad_share: float = 20.0
    max_job_cost: float = 100.0
    reconcile_after_seconds: float = 120.0
    late_after_hours: float = 25.0
    stuck_after_minutes: float = 45.0
    inbox: str = ""
    api_base_url: str = ""
    callback_queue_url: str = ""
    delete_queue_url: str = ""


@dataclass(frozen=True, slots=True)
class StreamSettings(_Settings):
    """Settings of the streams. Seconds, hours where the name says so. ``service`` is the stack, in its metrics."""

    table: str
    claude_secret: str
    claude_base_url: str = "https://api.anthropic.com"
    default_model: str = _setting("claude-haiku-5-5", may_be_empty=True)
    auth_mode: AuthMode = "iam"
    allowed_origins: tuple[str, ...] = ()
    connect_retry_seconds: float = 20.0
    ping_timeout_seconds: float = 60.0
    content_timeout_seconds: float = 300.0
    keep_streams: KeepStreams = "opt_in"
    stream_ttl_hours: float = 24.0
    service: str = _setting("sluice", variable="POWERTOOLS_SERVICE_NAME")
    log_level: Literal["DEBUG", "INFO"] = _setting("INFO", variable="POWERTOOLS_LOG_LEVEL")


@dataclass(frozen=True, slots=True)
class TaskSettings(_Settings):
    """Settings of the tasks. Hours, seconds, counts. A function has only what it uses.

    ``callback_hosts`` and ``callback_local`` are as they were given: ``tasks.services`` makes a policy of them.
    """

    table: str
    outbox: str = ""
    topic_arn: str = ""
    event_bus: str = "default"
    task_queue_url: str = ""
    callback_queue_url: str = ""
    claude_base_url: str = "https://api.anthropic.com"
    claude_secret: str = ""
    webhook_secret: str = ""
    default_model: str = _setting("claude-haiku-5-5", may_be_empty=True)
    auth_mode: AuthMode = "iam"
    operators: tuple[str, ...] = ()
    api_base_url: str = ""
    allowed_origins: tuple[str, ...] = ()
    task_ttl_hours: float = 168.0
    task_max_attempts: int = 10
    callback_max_hours: float = 24.0
    callback_hosts: tuple[str, ...] = ()
    callback_local: CallbackLocal = ""
    ping_timeout_seconds: float = 60.0
    content_timeout_seconds: float = 300.0
