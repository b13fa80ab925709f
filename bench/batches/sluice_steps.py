"""The steps of a job as its functions take them, on an account in this process, each run as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.aws.account import COLLECT, FINISH, INBOX, SUBMIT, Account, open_account
from bench.measure import print_measured
from sluice.aws.sqs_batch import StepResult
from sluice.deadline import Deadline
from sluice.jobs.collect.collect import collect
from sluice.jobs.finish.finish import finish
from sluice.jobs.model import Upload
from sluice.jobs.plan.model_check import ModelCatalogue
from sluice.jobs.plan.plan import Planner
from sluice.jobs.poll.poll import poll
from sluice.jobs.services import Services
from sluice.jobs.submit.submit import submit

_TIME_LEFT = 300.0


def plan_file(account: Account, services: Services, path: Path) -> None:
    """Plan a file as if it had just been dropped."""
    account.usage.add("lambda_request")
    upload = Upload(INBOX, path.name, None, "etag", account.s3.adopt(INBOX, path.name, path))
    job = Planner(services, ModelCatalogue(services.claude), Deadline.after(_TIME_LEFT)).take_upload(upload)
    if job.hold or job.failure:
        raise RuntimeError(f"The job does not run: {job.hold or job.failure}")


def submit_shards(account: Account, services: Services) -> None:
    for message in account.queues.take(SUBMIT):
        submission = submit(services, message, Deadline.after(_TIME_LEFT))
        _expect("submitted", submission)


def poll_once(account: Account, services: Services) -> None:
    account.usage.add("lambda_request")
    poll(services, Deadline.after(_TIME_LEFT))


def collect_shards(account: Account, services: Services) -> None:
    for message in account.queues.take(COLLECT):
        collection = collect(services, message)
        _expect("collected", collection)


def finish_job(account: Account, services: Services) -> None:
    for message in account.queues.take(FINISH):
        end = finish(services, message)
        _expect("finished", end)
        if end.problems:
            raise RuntimeError(f"The totals do not add up: {end.problems}")


def _expect(wanted: str, result: StepResult) -> None:
    if result.outcome != wanted:
        raise RuntimeError(f"A step should have {wanted} and has said: {result.outcome} ({dict(result.facts)}).")


def main(names: str, base_url: str, folder: str, path: str) -> None:
    """Take the steps that are named, with "+" between them."""
    with open_account(Path(folder)) as account:
        services = account.services(base_url)
        known: Mapping[str, Callable[[], None]] = {
            "plan": partial(plan_file, account, services, Path(path)),
            "submit": partial(submit_shards, account, services),
            "poll": partial(poll_once, account, services),
            "collect": partial(collect_shards, account, services),
            "finish": partial(finish_job, account, services),
        }
        steps = [known[name] for name in names.split("+")]

        def take_steps() -> dict[str, float]:
            for step in steps:
                step()
            return {name: float(count) for name, count in account.usage.counts.items()}

        print_measured(take_steps)


if __name__ == "__main__":
    main(*sys.argv[1:])
