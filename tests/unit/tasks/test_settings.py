from __future__ import annotations

import pytest

from sluice.tasks.settings import TaskSettings


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SLUICE_TABLE": "t", "SLUICE_CALLBACK_LOCAL": "http://localhost"},
        {"SLUICE_TABLE": "t", "SLUICE_CALLBACK_LOCAL": "http://0.0.0.0"},
        {"SLUICE_TABLE": "t", "SLUICE_TASK_TTL_HOURS": "long"},
    ],
)
def test_settings_that_cannot_be_stop_the_function(environ: dict[str, str]) -> None:
    with pytest.raises((KeyError, ValueError), match="SLUICE_"):
        TaskSettings.from_env(environ)


def test_settings_have_safe_defaults() -> None:
    settings = TaskSettings.from_env({"SLUICE_TABLE": "t"})
    assert settings.auth_mode == "iam"
    assert not settings.callbacks.local
    assert TaskSettings.from_env(
        {"SLUICE_TABLE": "t", "SLUICE_CALLBACK_HOSTS": "A.example.com, *.b.example.com"}
    ).callbacks.hosts == (
        "a.example.com",
        "*.b.example.com",
    )
