"""What the function reads from the environment that the template gives it."""

from __future__ import annotations

from sluice.streams.settings import StreamSettings

REQUIRED = {"SLUICE_TABLE": "t", "SLUICE_CLAUDE_SECRET": "s"}


def test_metrics_go_under_the_name_that_those_of_the_other_functions_have() -> None:
    assert StreamSettings.from_env({**REQUIRED, "POWERTOOLS_SERVICE_NAME": "my-stack"}).service == "my-stack"
    assert StreamSettings.from_env(REQUIRED).service == "sluice"
