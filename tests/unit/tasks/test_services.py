from __future__ import annotations

import pytest

from sluice.callbacks.addresses import AddressPolicy
from sluice.tasks.services import TaskServices


@pytest.mark.parametrize(
    ("environ", "policy"),
    [
        ({}, AddressPolicy()),
        ({"SLUICE_CALLBACK_HOSTS": "A.example.com, *.b.com"}, AddressPolicy(("a.example.com", "*.b.com"))),
        ({"SLUICE_CALLBACK_LOCAL": "http://127.0.0.1"}, AddressPolicy(local=True)),
    ],
)
def test_callbacks_go_to_any_public_host_unless_the_stack_says_otherwise(
    environ: dict[str, str], policy: AddressPolicy
) -> None:
    services = TaskServices.from_env({"SLUICE_TABLE": "t", "SLUICE_OUTBOX": "o", **environ})
    assert services.callback_policy() == policy
