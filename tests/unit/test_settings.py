"""What the functions read from the environment that the template gives them."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.settings import API_MAX_BYTES, API_MAX_REQUESTS, JobSettings, StreamSettings, TaskSettings

Settings = type[JobSettings] | type[StreamSettings] | type[TaskSettings]
REQUIRED = {"SLUICE_TABLE": "t", "SLUICE_CLAUDE_SECRET": "s"}


@pytest.mark.parametrize("settings", [JobSettings, StreamSettings, TaskSettings])
def test_a_field_is_read_from_the_variable_of_its_name_or_has_its_default(settings: Settings) -> None:
    assert settings.from_env(REQUIRED) == settings(table="t", claude_secret="s")
    assert settings.from_env({**REQUIRED, "SLUICE_CLAUDE_BASE_URL": ""}) == settings(table="t", claude_secret="s")
    named = settings.from_env({**REQUIRED, "SLUICE_CLAUDE_BASE_URL": "http://claude"})
    assert named.claude_base_url == "http://claude"


@pytest.mark.parametrize(
    ("settings", "environ", "variable"),
    [
        (JobSettings, {"SLUICE_TABLE": None}, "SLUICE_TABLE"),
        (StreamSettings, {"SLUICE_CLAUDE_SECRET": None}, "SLUICE_CLAUDE_SECRET"),
        (JobSettings, {"SLUICE_MAX_WAVES": "inf"}, "SLUICE_MAX_WAVES is 'inf'"),
        (JobSettings, {"SLUICE_MAX_JOB_COST": "much"}, "SLUICE_MAX_JOB_COST is 'much'"),
        (StreamSettings, {"SLUICE_STREAM_TTL_HOURS": "long"}, "SLUICE_STREAM_TTL_HOURS is 'long'"),
        (StreamSettings, {"SLUICE_KEEP_STREAMS": "never"}, "SLUICE_KEEP_STREAMS .* off, opt_in, always"),
        (TaskSettings, {"SLUICE_AUTH_MODE": "none"}, "SLUICE_AUTH_MODE .* iam, keys"),
        (TaskSettings, {"SLUICE_TASK_TTL_HOURS": "long"}, "SLUICE_TASK_TTL_HOURS is 'long'"),
        (
            TaskSettings,
            {"SLUICE_CALLBACK_LOCAL": "http://localhost"},
            "SLUICE_CALLBACK_LOCAL .* empty, http://127.0.0.1",
        ),
        (TaskSettings, {"SLUICE_CALLBACK_LOCAL": "http://0.0.0.0"}, "SLUICE_CALLBACK_LOCAL"),
    ],
)
def test_settings_that_cannot_be_stop_the_function(
    settings: Settings, environ: dict[str, str | None], variable: str
) -> None:
    merged = {name: value for name, value in {**REQUIRED, **environ}.items() if value is not None}
    with pytest.raises((KeyError, ValueError), match=variable):
        settings.from_env(merged)


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"SLUICE_MAX_SHARD_REQUESTS": "500"}, "max_shard_requests", 500),
        ({"SLUICE_MAX_SHARD_REQUESTS": "1e6"}, "max_shard_requests", API_MAX_REQUESTS),
        ({"SLUICE_MAX_SHARD_BYTES": "999999999"}, "max_shard_bytes", API_MAX_BYTES),
        ({"SLUICE_DEFAULT_MODEL": ""}, "default_model", ""),
        ({"SLUICE_WAVE_DELAY_SECONDS": "0.5"}, "wave_delay_seconds", 0.5),
    ],
)
def test_values_are_read_within_the_limits_of_the_api(environ: dict[str, str], name: str, value: Any) -> None:
    assert getattr(JobSettings.from_env({**REQUIRED, **environ}), name) == value


def test_lists_are_separated_by_commas() -> None:
    settings = TaskSettings.from_env({**REQUIRED, "SLUICE_CALLBACK_HOSTS": " A.example.com, *.b.example.com,"})
    assert settings.callback_hosts == ("A.example.com", "*.b.example.com")


def test_metrics_go_under_the_name_that_those_of_the_other_functions_have() -> None:
    assert StreamSettings.from_env({**REQUIRED, "POWERTOOLS_SERVICE_NAME": "my-stack"}).service == "my-stack"


def test_the_streaming_door_logs_at_the_level_of_the_other_functions() -> None:
    assert StreamSettings.from_env({**REQUIRED, "POWERTOOLS_LOG_LEVEL": "DEBUG"}).log_level == "DEBUG"
    assert StreamSettings.from_env(REQUIRED).log_level == "INFO"
    assert StreamSettings.from_env(REQUIRED).service == "sluice"
