from __future__ import annotations

from pathlib import Path

import pytest

from local.samconfig import SAMCONFIG, DeployConfig, read_config


def test_without_a_file_nothing_was_answered(tmp_path: Path) -> None:
    assert read_config(tmp_path / "samconfig.toml") == DeployConfig("sluice")


def test_the_file_at_the_root_names_the_stack() -> None:
    assert 'stack_name = "' in SAMCONFIG.read_text()
    assert read_config(SAMCONFIG).stack


@pytest.mark.parametrize(
    "overrides",
    [
        # As SAM writes them after it has asked, and as a person may.
        r'"AuthMode=\"keys\" CallbackHosts=\"a.example, b.example\" EventBus=\"\" MaxJobCost=\"7\""',
        """['AuthMode=keys', 'CallbackHosts="a.example, b.example"', 'EventBus=', 'MaxJobCost=7']""",
    ],
)
def test_the_answers_of_the_last_deployment_are_read_whole(tmp_path: Path, overrides: str) -> None:
    file = tmp_path / "samconfig.toml"
    file.write_text(
        '[default.global.parameters]\nstack_name = "sluice"\nregion = "us-west-2"\n'
        f'[default.deploy.parameters]\nstack_name = "shop"\nprofile = "work"\nparameter_overrides = {overrides}\n'
    )
    answers = {"AuthMode": "keys", "CallbackHosts": "a.example, b.example", "EventBus": "", "MaxJobCost": "7"}
    assert read_config(file) == DeployConfig("shop", "us-west-2", "work", answers)
