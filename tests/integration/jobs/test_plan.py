"""Planning, as its function is deployed: from an upload to shards that are sent."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import boto3
import pytest

from simulator.faults import Refuse
from simulator.rules import Match
from sluice.deadline import Deadline
from sluice.jobs.model import Job, JobStatus, Upload
from sluice.jobs.outbox import Manifest
from sluice.jobs.plan.model_check import ModelCatalogue
from sluice.jobs.plan.plan import Planner
from sluice.jobs.requests import batch_body, read_lines
from sluice.settings import JobSettings
from tests.integration.jobs.job_maker import MODEL, request_line
from tests.integration.jobs.world import World, notification
from tests.world.lambdas import Context
from tests.world.queues import QueueMessage


def plan(world: World, key: str, data: bytes) -> Job:
    """Drop a file and let it be planned, as often as the planning asks for it."""
    upload = world.upload(key, data)
    return plan_on(world, upload)


def plan_on(world: World, upload: Upload) -> Job:
    while waiting := [message for message in world.queues.messages if message.queue == "PlanQueue"]:
        first = min(waiting, key=lambda message: message.due)
        world.clock.advance(max(first.due - world.clock.now(), 0.0))
        assert world.deliver(first)
    return world.job(upload.job_id)


def bodies(world: World, job: Job) -> list[Any]:
    """Decode the bodies that would be sent, their lengths checked against what was foretold."""
    services = world.services("SubmitShard")
    decoded = []
    for shard in world.shards(job.job_id):
        lines = read_lines(services.outbox, shard.source)
        body = b"".join(batch_body(lines, shard.nonce))
        assert len(body) == shard.length
        requests = json.loads(body)["requests"]
        ids = services.s3.get(services.settings.outbox, shard.ids_key).decode().split()
        assert requests[0]["custom_id"] == shard.nonce
        assert [each["custom_id"] for each in requests[1:]] == ids[1:]
        assert shard.count == len(requests) == len(ids)
        decoded += [requests[0] | {"custom_id": ids[0]}, *requests[1:]]
    return decoded


def manifest_of(world: World, job: Job) -> Manifest:
    services = world.services("FinishJob")
    assert job.plan is not None
    return services.outbox.read_manifest(job.plan.manifest_key)


def rejected(world: World, job: Job) -> list[Any]:
    keys = manifest_of(world, job).rejected_keys
    return [json.loads(line) for key in keys for line in world.read("Outbox", key).splitlines()]


def shards_of(monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
    """Let no shard have more requests than this."""
    from_env = JobSettings.from_env.__func__  # type: ignore[attr-defined]  # the function beneath a class method

    def small(cls: type[JobSettings], environ: dict[str, str]) -> JobSettings:
        stack: JobSettings = from_env(cls, environ)
        return replace(stack, max_shard_requests=requests)

    monkeypatch.setattr(JobSettings, "from_env", classmethod(small))


def test_an_upload_becomes_shards_and_messages(world: World) -> None:
    lines = [request_line(f"r-{number}") for number in range(5)]
    job = plan(world, "rivers.jsonl", b"".join(lines))
    assert job.status is JobStatus.RUNNING
    assert bodies(world, job) == [json.loads(line) for line in lines]
    assert [json.loads(queue_message.body) for queue_message in world.queues.messages] == [
        {"job_id": job.job_id, "shard": 0, "wave": 0}
    ]
    assert job.plan is not None
    assert (job.plan.lines, job.plan.requests, job.plan.rejected) == (5, 5, 0)


def test_bad_lines_are_put_aside_and_the_rest_runs(world: World) -> None:
    good = [request_line(f"r-{number}") for number in range(8)]
    data = b"".join([good[0], b"oops\n", *good[1:4], b"\n", *good[4:], b'{"custom_id":"x"}'])
    job = plan(world, "rivers.jsonl", data)
    assert job.status is JobStatus.RUNNING
    assert bodies(world, job) == [json.loads(line) for line in good]
    assert [(each["line"], each["text"]) for each in rejected(world, job)] == [
        (2, "oops"),
        (6, ""),
        (11, '{"custom_id":"x"}'),
    ]


def test_a_redelivered_upload_is_planned_once(world: World) -> None:
    upload = world.upload("rivers.jsonl", request_line("r-0"))
    body = world.queues.messages[0].body
    plan_on(world, upload)
    world.queues.messages.append(QueueMessage("PlanQueue", body, world.clock.now()))
    plan_on(world, upload)
    assert len(world.shards(upload.job_id)) == 1


def test_packed_files_are_cut_into_shards_of_their_own(world: World) -> None:
    lines = [request_line(f"r-{number}") for number in range(3)]
    job = plan(world, "rivers.jsonl.gz", gzip.compress(b"".join(lines)))
    assert bodies(world, job) == [json.loads(line) for line in lines]
    assert MODEL in (job.plan.models if job.plan else ())


def test_the_same_file_dropped_again_is_another_job(world: World) -> None:
    first = plan(world, "rivers.jsonl", request_line("r-0"))
    second = plan(world, "rivers.jsonl", request_line("r-0"))
    assert first.job_id != second.job_id
    assert notification(first.upload) != notification(second.upload)


def held(world: World, job: Job) -> tuple[str, str]:
    assert job.status is JobStatus.HELD
    assert job.hold is not None
    assert [(each["event"], each["job_id"], each["key"]) for each in world.notices] == [
        ("job.held", job.job_id, job.upload.key)
    ]
    return job.hold.kind, job.hold.reason


def failed(world: World, job: Job) -> str:
    assert job.status is JobStatus.FAILED
    assert [(each["event"], each["key"]) for each in world.notices] == [("job.failed", job.upload.key)]
    return str(job.failure)


@pytest.mark.parametrize(
    ("key", "data", "says"),
    [
        ("x.xlsx", b"PK", "This kind of file cannot be read"),
        ("x.jsonl", b"", "The file is empty."),
        ("x.jsonl", b"\n \n", "The file is empty."),
        ("x.jsonl", b"Dear Claude,\nhow are you?\n", "No line of the file is JSON."),
        ("x.jsonl.gz", b"Dear Claude", "cannot be unpacked"),
        ("x.jsonl.gz", gzip.compress(request_line("a"))[:-3], "ends in the middle"),
        ("x.csv", b"", "The file is empty."),
        ("x.txt", b"\n", "The file is empty."),
    ],
)
def test_a_file_of_which_nothing_can_be_read_fails_and_says_why(world: World, key: str, data: bytes, says: str) -> None:
    assert says in failed(world, plan(world, key, data))


def test_a_file_that_was_deleted_fails(world: World) -> None:
    upload = world.upload("x.jsonl", request_line("a"))
    boto3.client("s3").delete_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version or "null")
    assert "was deleted" in failed(world, plan_on(world, upload))


def test_a_file_without_a_good_line_finishes_with_its_lines_rejected(world: World) -> None:
    job = plan(world, "x.jsonl", b'{"custom_id":"a"}\n{"custom_id":"b"}\n')
    assert (job.status, job.open_shards) == (JobStatus.RUNNING, 0)
    assert [each["line"] for each in rejected(world, job)] == [1, 2]
    assert [(queue_message.queue, json.loads(queue_message.body)) for queue_message in world.queues.messages] == [
        ("FinishQueue", {"job_id": job.job_id})
    ]


def test_the_wrong_file_is_held_and_runs_when_it_is_released(world: World) -> None:
    job = plan(world, "x.jsonl", request_line("a") + b"oops\n")
    assert held(world, job)[0] == "bad_lines"
    assert not world.shards(job.job_id)
    world.upload(f"{job.job_id}.release", b"")
    job = plan_on(world, job.upload)
    assert job.status is JobStatus.RUNNING
    assert len(bodies(world, job)) == 1
    assert len(world.notices) == 1


def test_a_job_that_may_cost_too_much_is_held(world: World) -> None:
    world.upload("dear/sluice.yaml", b"limits: {max_cost: 0.000001}")
    job = plan(world, "dear/x.jsonl", request_line("a"))
    kind, reason = held(world, job)
    assert kind == "cost"
    assert "the limit is" in reason
    assert job.plan is not None
    assert job.plan.worst_cost > job.plan.estimated_cost > 0


def test_a_held_job_can_be_cancelled(world: World) -> None:
    job = plan(world, "x.jsonl", request_line("a") + b"oops\n")
    world.upload(f"some/folder/{job.job_id}.cancel", b"")
    job = plan_on(world, job.upload)
    assert job.cancel_requested
    assert {queue_message.queue for queue_message in world.queues.messages} == {"CollectQueue"}


def test_a_command_for_no_job_is_forgotten(world: World) -> None:
    world.upload("who-0a1b.release", b"")
    assert world.deliver(world.queues.messages[0])
    assert not world.queues.messages


def test_settings_that_cannot_be_used_hold_the_file_until_they_are_corrected(world: World) -> None:
    world.upload("reviews/sluice.yaml", b"prompt: 'Sort: {reveiw}'")
    job = plan(world, "reviews/x.csv", b"id,review\n1,Good\n2,Bad\n")
    kind, reason = held(world, job)
    assert kind == "settings"
    assert reason.startswith('reviews/sluice.yaml: the prompt names the column "reveiw", which is not there.')
    world.upload("reviews/sluice.yaml", b"prompt: 'Sort: {review}'")
    job = plan_on(world, job.upload)
    assert [each["params"]["messages"][0]["content"] for each in bodies(world, job)] == ["Sort: Good", "Sort: Bad"]
    assert job.settings_key is not None


def test_settings_that_arrive_a_little_later_than_their_file_count(world: World) -> None:
    upload = world.upload("reviews/x.txt", b"quick\nslow\n")
    assert world.deliver(world.due()[0])
    assert world.job(upload.job_id).status is JobStatus.RECEIVED
    world.clock.advance(2)
    world.upload("reviews/sluice.yaml", b"prompt: 'Mood: {line}'")
    job = plan_on(world, upload)
    assert [each["params"]["messages"][0]["content"] for each in bodies(world, job)] == ["Mood: quick", "Mood: slow"]
    assert not world.notices


def test_a_file_whose_settings_never_arrive_waits_no_longer_than_it_should(world: World) -> None:
    upload = world.upload("x.txt", b"quick\n")
    begun = world.clock.now()
    job = plan_on(world, upload)
    assert job.status is JobStatus.RUNNING
    assert 5 <= world.clock.now() - begun < 7


def test_a_file_that_brings_its_own_requests_waits_for_no_settings(world: World) -> None:
    world.upload("x.jsonl", request_line("a"))
    assert world.deliver(world.due()[0])
    assert [message.queue for message in world.queues.messages] == ["SubmitQueue"]


def test_what_s3_tells_late_or_twice_of_settings_that_a_job_was_held_for_changes_nothing(world: World) -> None:
    settings = b"prompt: 'Sort: {reveiw}'"
    world.upload("reviews/sluice.yaml", settings)
    job = plan(world, "reviews/x.csv", b"review\nGood\n")
    told = len(world.notices)
    assert (job.status, told) == (JobStatus.HELD, 1)

    world.upload("reviews/sluice.yaml", settings + b"  # as it was")
    held = plan_on(world, job.upload)

    assert (held.status, len(world.notices)) == (JobStatus.HELD, told)


def test_only_the_jobs_that_new_settings_are_for_go_on(world: World) -> None:
    for folder in ("a", "a/deep", "ab", "b"):
        world.upload(f"{folder}/sluice.yaml", b"modle: m")
    uploads = {
        folder: plan(world, f"{folder}/x.csv", b"review\nGood\n").upload
        for folder in ("a", "a/deep", "a/below", "ab", "b")
    }
    world.upload("a/sluice.yaml", b"prompt: 'Sort: {review}'")
    plan_on(world, uploads["a"])
    statuses = {folder: world.job(upload.job_id).status for folder, upload in uploads.items()}
    running, waiting = JobStatus.RUNNING, JobStatus.HELD
    assert statuses == {"a": running, "a/below": running, "a/deep": waiting, "ab": waiting, "b": waiting}


@pytest.mark.parametrize("name", ["sluice.yml", "Sluice.YAML", "sluice.yaml.txt", "SLUICE.yml"])
def test_settings_under_another_name_are_used_and_never_run(world: World, name: str) -> None:
    world.upload(f"reviews/{name}", b"prompt: 'Sort: {review}'")
    job = plan(world, "reviews/x.csv", b"review\nGood\n")
    assert [each["params"]["messages"][0]["content"] for each in bodies(world, job)] == ["Sort: Good"]
    assert [each.job_id for each in world.job_table.open() if isinstance(each, Job)] == [job.job_id]


def test_notes_of_the_settings_are_in_the_plan(world: World) -> None:
    schema = "schema: {properties: {stars: {type: integer, minimum: 1}}}"
    world.upload("r/sluice.yaml", f"prompt: '{{review}}'\n{schema}".encode())
    job = plan(world, "r/x.csv", b"review\nGood\n")
    assert job.plan is not None
    assert job.plan.notes == manifest_of(world, job).notes
    assert "schema.properties.stars: Claude does not enforce minimum" in job.plan.notes[0]


def test_a_job_whose_settings_cannot_be_used_can_be_cancelled(world: World) -> None:
    world.upload("x/sluice.yaml", b"modle: m")
    job = plan(world, "x/x.jsonl", request_line("a"))
    held(world, job)
    world.notices.clear()
    world.upload(f"{job.job_id}.cancel", b"")
    job = plan_on(world, job.upload)
    assert "cancelled before it was planned" in failed(world, job)


def test_a_table_runs_by_its_folders_settings(world: World) -> None:
    world.upload("reviews/sluice.yaml", b"model: claude-sonnet-5-5\nmax_tokens: 9\nprompt: '{review}'\nbetas: [b1]")
    job = plan(world, "reviews/deep/x.csv", "review;stars\nGut;5\n".encode("utf-8-sig"))
    assert bodies(world, job) == [
        {
            "custom_id": "row-1",
            "params": {
                "model": "claude-sonnet-5-5",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "Gut"}],
            },
        }
    ]
    assert [shard.betas for shard in world.shards(job.job_id)] == ["b1"]


def test_a_line_of_text_runs_with_the_stacks_model(world: World) -> None:
    job = plan(world, "x.txt", b"One river\nAnother river\n")
    assert [each["custom_id"] for each in bodies(world, job)] == ["line-1", "line-2"]
    assert job.plan is not None
    assert job.plan.models == ("claude-haiku-5-5",)


def test_requests_to_a_retired_model_are_put_aside(world: World) -> None:
    retired = request_line("old").replace(MODEL.encode(), b"claude-sonnet-4-20250514")
    greedy = request_line("much").replace(b'"max_tokens": 250', b'"max_tokens": 64001')
    good = [request_line(f"r-{number}") for number in range(8)]
    job = plan(world, "x.jsonl", b"".join([retired, *good, greedy]))
    reasons = [each["reason"] for each in rejected(world, job)]
    assert reasons == [
        "The model claude-sonnet-4-20250514 was retired on 2026-06-15.",
        '"max_tokens" is 64001, but claude-haiku-5-5 gives 64000 at most.',
    ]


def test_where_models_cannot_be_checked_the_plan_goes_on_and_says_so(world: World) -> None:
    world.simulator.fail(Refuse(status=529), Match(operation="models.retrieve"))
    job = plan(world, "x.jsonl", request_line("a"))
    assert job.status is JobStatus.RUNNING
    assert "could not be checked" in manifest_of(world, job).notes[0]


def test_repeated_ids_are_put_aside_across_shards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shards_of(monkeypatch, 2)
    names = ["a", "b", "c", "d", "e", "a", "f", "g", "h", "c"]
    job = plan(world, "x.jsonl", b"".join(map(request_line, names)))
    assert [each["custom_id"] for each in bodies(world, job)] == ["a", "b", "c", "d", "e", "f", "g", "h"]
    assert [each["line"] for each in rejected(world, job)] == [6, 10]
    assert len(world.shards(job.job_id)) == 4


@pytest.mark.parametrize("key", ["x.jsonl", "x.jsonl.gz", "x.txt"])
def test_a_pass_that_nears_its_deadline_goes_on_in_the_next_invocation(
    world: World, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.jobs.formats.source._CHUNK_BYTES", 300)
    monkeypatch.setattr("sluice.jobs.formats.gzip._CHUNK_BYTES", 300)
    monkeypatch.setattr("sluice.jobs.formats.txt._LINES", 2)
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda self: 1)
    lines = [request_line(f"r-{number}") for number in range(8)]
    data = b"One\nTwo\n\nThree\nFour\n" if key == "x.txt" else b"".join((*lines[:4], b"oops\n", *lines[4:]))
    upload = world.upload(key, gzip.compress(data) if key.endswith("gz") else data)
    invocations = 0
    while waiting := [message for message in world.queues.messages if message.queue == "PlanQueue"]:
        first = min(waiting, key=lambda message: message.due)
        world.clock.advance(max(first.due - world.clock.now(), 0.0))
        assert world.deliver(first)
        invocations += 1
    job = world.job(upload.job_id)
    assert job.status is JobStatus.RUNNING
    assert invocations > 2
    assert len(bodies(world, job)) == (4 if key == "x.txt" else 8)
    assert [each["line"] for each in rejected(world, job)] == [3 if key == "x.txt" else 5]


def test_planning_whose_message_was_lost_goes_on_from_its_checkpoint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.jobs.formats.source._CHUNK_BYTES", 300)
    lines = b"".join(request_line(f"r-{number}") for number in range(8))
    with monkeypatch.context() as patch:
        patch.setattr(Context, "get_remaining_time_in_millis", lambda self: 1)
        upload = world.upload("x.jsonl", lines)
        assert world.deliver(world.due()[0])
    world.queues.messages.clear()
    world.clock.advance(3600)

    world.poll()

    (pushed,) = world.queues.messages
    checkpoint = world.job(upload.job_id).checkpoint_key
    assert checkpoint is not None
    assert json.loads(pushed.body)["checkpoint"] == checkpoint
    world.deliver_all()
    assert len(bodies(world, world.job(upload.job_id))) == 8


def test_two_passes_over_the_same_file_make_one_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shards_of(monkeypatch, 2)
    upload = world.upload("x.jsonl", b"".join(request_line(f"r-{number}") for number in range(5)))
    services = world.services("PlanJob")
    planner = Planner(services, ModelCatalogue(services.claude), Deadline.after(900.0))
    received = world.job_table.claim(upload, world.clock.now())
    first, second = planner.advance(received), planner.advance(received)
    assert first.plan == second.plan
    assert (first.status, second.status) == (JobStatus.RUNNING, JobStatus.RUNNING)
    assert len(world.shards(upload.job_id)) == 3
    assert len(bodies(world, second)) == 5


def test_a_crash_at_any_line_of_planning_leads_to_one_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shards_of(monkeypatch, 2)
    lines = [request_line(f"r-{number}") for number in range(5)]
    data = b"".join((*lines, b"oops\n"))
    plan(world, "x.jsonl", data)
    planning = len(world.calls.made)
    assert planning > 10
    # To die before a call is to die after the one before it.
    for number in range(planning):
        world.queues.messages.clear()
        upload = world.upload("x.jsonl", data)
        world.calls.crash((len(world.calls.made) + number, True))
        world.deliver(world.queues.messages[0])
        world.calls.crash()
        world.clock.advance(3600)
        job = plan_on(world, upload)
        assert job.status is JobStatus.RUNNING
        assert bodies(world, job) == [json.loads(line) for line in lines]
        sent = {queue_message.body for queue_message in world.queues.messages if queue_message.queue == "SubmitQueue"}
        assert sent == {json.dumps(shard.ref.message()) for shard in world.shards(job.job_id)}
    assert not world.notices


def test_a_message_that_means_nothing_is_left_to_the_dead_letter_queue(world: World) -> None:
    world.queues.messages.append(QueueMessage("PlanQueue", "{}", world.clock.now()))
    queue_message = world.queues.messages[0]
    while world.queues.messages:
        assert not world.deliver(queue_message)
    assert world.dead == [queue_message]


def test_sampling_is_sent_under_the_older_version_and_anything_else_under_the_newest(world: World) -> None:
    warm = request_line("warm").replace(b'"max_tokens"', b'"temperature": 0, "max_tokens"')
    files = {"warm.jsonl": warm + request_line("r"), "plain.jsonl": request_line("r")}
    uploads = [world.upload(key, data) for key, data in files.items()]
    world.run_until_idle()
    sent = [call.headers["anthropic-version"] for call in world.simulator.requests("batches.create")]
    assert sorted(sent) == ["2023-06-01", "2026-10-21"]
    assert {world.job(upload.job_id).status for upload in uploads} == {JobStatus.FINISHED}
    plans = [world.job(upload.job_id).plan for upload in uploads]
    assert ["2023-06-01" in "".join(plan.notes) for plan in plans if plan] == [True, False]


def test_the_version_of_the_settings_counts(world: World) -> None:
    world.upload("v/sluice.yaml", b"anthropic_version: 2023-06-01\nprompt: 'Name {line}.'\nmax_tokens: 300")
    world.upload("v/x.txt", b"a river\n")
    world.run_until_idle()
    assert [call.headers["anthropic-version"] for call in world.simulator.requests("batches.create")] == ["2023-06-01"]


def test_params_of_the_settings_that_claude_would_refuse_hold_the_file(world: World) -> None:
    params = b"params: {temperature: 0}\nanthropic_version: '2026-10-21'\nprompt: '{line}'"
    world.upload("v/sluice.yaml", params)
    job = plan(world, "v/x.txt", b"a river\n")
    assert 'has "temperature", which the API refuses under the version 2026-10-21' in held(world, job)[1]


def test_known_refusals_are_rejected_and_do_not_hold_the_file(world: World) -> None:
    wrong = request_line("role").replace(b'"role": "user"', b'"role": "developer"')
    foreign = request_line("param").replace(b'"max_tokens"', b'"seed": 1, "max_tokens"')
    job = plan(world, "x.jsonl", wrong + request_line("good") + foreign)
    assert job.status is JobStatus.RUNNING
    assert [each["line"] for each in rejected(world, job)] == [1, 3]


def test_a_job_that_no_limit_bounds_says_so(world: World) -> None:
    tools = b'"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}], "max_tokens"'
    job = plan(world, "x.jsonl", request_line("a").replace(b'"max_tokens"', tools))
    assert job.plan is not None
    assert any("tools that Claude runs" in note for note in job.plan.notes)
    # 1,000,000 tokens of a long prompt, half price, and three searches.
    assert job.plan.worst_cost == pytest.approx(0.5 * (1e6 * 0.5 + 250 * 2.5) / 1e6 + 0.03)
