"""A step that fails is taken up again within seconds, not after the visibility timeout of its queue."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from sluice.jobs.model import JobStatus
from tests.integration.jobs.job_maker import request_line
from tests.integration.jobs.world import World


@pytest.mark.parametrize("step", ["plan_job", "submit_shard", "collect_shard", "finish_job"])
@pytest.mark.parametrize(
    "failure", [EndpointConnectionError(endpoint_url="https://aws"), RuntimeError("A question between us.")], ids=repr
)
def test_a_step_that_fails_is_tried_again_within_half_a_minute(
    world: World, step: str, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[str] = []
    waits: list[int] = []

    def fail_once(operation: str, _params: dict[str, Any]) -> None:
        # A transaction is tried again at once.
        if world.calls.step == step and not failures and operation != "TransactWriteItems":
            failures.append(operation)
            raise failure

    def change_visibility(params: dict[str, Any]) -> None:
        waits.append(params["VisibilityTimeout"])
        world.queues.change_visibility(params)

    world.calls.listeners.append(fail_once)
    world.calls.instead["ChangeMessageVisibility"] = change_visibility
    job_id = world.upload("rivers.jsonl", request_line("one", "A question between us.")).job_id
    world.run_until_idle()
    assert len(failures) == len(waits) == 1
    assert 20 <= waits[0] <= 30
    assert world.job(job_id).status is JobStatus.FINISHED
    assert len(world.paid_batches()) == 1
    assert "A step failed; its message comes again." in caplog.text
    assert "between us" not in repr([vars(record) for record in caplog.records])
