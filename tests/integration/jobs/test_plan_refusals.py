"""Planning what cannot run: a bad value costs its line, or holds its file with a reason, and never stops the queue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.jobs.model import JobStatus
from sluice.jobs.wording import MAX_REASON
from tests.integration.jobs.job_maker import MODEL, request_line
from tests.integration.jobs.outputs import run, summary
from tests.integration.jobs.test_plan import bodies, failed, held, plan, rejected
from tests.integration.jobs.world import World

GOOD = [request_line(f"r-{number}") for number in range(8)]


def with_model(name: str) -> bytes:
    return request_line("bad").replace(f'"{MODEL}"'.encode(), json.dumps(name).encode())


@pytest.mark.parametrize("name", [f"{MODEL}\n", "?", "#x", "a/b", "..", "ä", "x" * 70_000])
def test_what_can_be_no_model_is_put_aside(world: World, name: str) -> None:
    job = plan(world, "x.jsonl", b"".join([*GOOD, with_model(name)]))
    assert job.status is JobStatus.RUNNING
    assert bodies(world, job) == [json.loads(line) for line in GOOD]
    assert [each["line"] for each in rejected(world, job)] == [9]
    assert rejected(world, job)[0]["reason"].startswith("There is no model '")
    assert len(rejected(world, job)[0]["reason"]) <= MAX_REASON


def test_no_end_of_models_leaves_the_job_small_and_the_good_lines_running(world: World) -> None:
    names = [f"claude-of-{number}-days-{'x' * 100}" for number in range(70)]
    good = [request_line(f"r-{number}") for number in range(400)]
    job = plan(world, "x.jsonl", b"".join([*map(with_model, names), *good]))
    assert job.status is JobStatus.RUNNING
    assert job.plan is not None
    assert (job.plan.requests, job.plan.rejected, job.plan.models) == (400, 70, (MODEL,))
    reasons = [each["reason"] for each in rejected(world, job)]
    assert sum(each.startswith("There is no model") for each in reasons) == 50
    assert sum(each.startswith("The file names more than 50 models") for each in reasons) == 20


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (b"model: |\n  claude-haiku-5-5\n", "f/sluice.yaml: model: has to be a text that is a name"),
        (b'prompt: "\\ud800 {prompt}"', "f/sluice.yaml: prompt: has half a character"),
        ("betas: [für-mich]".encode(), "f/sluice.yaml: betas[0]: has to be a text that is a name"),
        (b"limits: {max_cost: .inf}", "f/sluice.yaml: limits.max_cost: has to be a number"),
        (b"schema: &a {type: object, properties: {a: *a}}", "an alias (*a) is not taken"),
        (b"retry_max_tokens: 2000000000", "f/sluice.yaml: retry_max_tokens: has to be a whole number <= 10000000"),
        (b"retry_max_tokens: 64001", 'f/sluice.yaml: "retry_max_tokens" is 64001, but claude-haiku-5-5 gives 64000'),
        (
            b"schema: {type: object, properties: {a: {}}, additionalProperties: true}",
            'f/sluice.yaml: schema: "additionalProperties" has to be false',
        ),
    ],
)
@pytest.mark.parametrize(("key", "data"), [("f/x.jsonl", GOOD[0]), ("f/x.csv", b"prompt\nHi\n")])
def test_settings_that_would_stop_a_job_later_hold_it_at_once(
    world: World, settings: bytes, says: str, key: str, data: bytes
) -> None:
    world.upload("f/sluice.yaml", settings)
    kind, reason = held(world, plan(world, key, data))
    assert kind == "settings"
    assert says in reason
    assert reason.endswith("Once the corrected settings are in the Inbox, the job goes on by itself.")


BROKEN_PRICES = [f'{{"models": {{"{MODEL}": {{"input": {price}, "output": 1}}}}}}' for price in ("NaN", "1e999", "-1")]


@pytest.mark.parametrize("prices", [*BROKEN_PRICES, "{", '{"models": []}', '{"models": {"a\\nb": 1}}', " " * (1 << 21)])
def test_a_price_list_that_is_no_good_holds_no_file_and_each_job_says_so(world: World, prices: str) -> None:
    priced = plan(world, "x.jsonl", GOOD[0])
    world.upload("prices.json", prices.encode())
    job = plan(world, "y.jsonl", GOOD[0])

    assert job.status is JobStatus.RUNNING
    assert job.plan
    assert priced.plan
    assert (job.plan.estimated_cost, job.plan.worst_cost) == (priced.plan.estimated_cost, priced.plan.worst_cost)
    (note,) = job.plan.notes
    assert note.startswith("prices.json")
    assert "\n" not in note
    assert note.endswith("costs are estimated with the prices that ship with Sluice.")


def test_a_job_says_that_its_costs_come_from_a_list_in_the_inbox(world: World) -> None:
    job_id = run(world, GOOD[0], "before.jsonl")
    assert "prices.json" not in world.notices[-1]["text"]
    assert summary(world, job_id)["notes"] == []

    world.upload("prices.json", f'{{"models": {{"{MODEL}": {{"input": 0, "output": 0}}}}}}'.encode())
    job_id = run(world, GOOD[0], "after.jsonl")
    (note,) = summary(world, job_id)["notes"]
    assert note.startswith("Costs are estimated with the prices.json in the Inbox.")
    assert note in world.notices[-1]["text"]


@pytest.mark.parametrize(
    "key_and_data",
    [
        ("x.csv", ",".join(f"question_{number:05d}_how_satisfied_are_you" for number in range(12_000)).encode()),
        ("x.csv", "Straße,Länge,x".encode("utf-16") + b"\x00\xd8\n\x00"),
        ("x.jsonl", b'{"%s": 1}\n' % (b"k" * 450_000)),
    ],
)
def test_a_reason_that_quotes_the_file_is_short(world: World, key_and_data: tuple[str, bytes]) -> None:
    job = plan(world, *key_and_data)
    if job.status is JobStatus.RUNNING:
        assert len(rejected(world, job)[0]["reason"]) <= MAX_REASON
        return
    _, reason = held(world, job)
    assert "There are: " in reason
    assert len(reason) <= MAX_REASON + 100


def test_a_table_in_utf_16_that_was_cut_runs_but_for_its_last_row(world: World) -> None:
    job = plan(world, "x.csv", ("prompt\n" + "Hi\n" * 8 + "Hi").encode("utf-16")[:-1])
    assert job.status is JobStatus.RUNNING
    assert len(bodies(world, job)) == 8
    assert [each["line"] for each in rejected(world, job)] == [9]


def test_an_open_quote_is_pointed_at(world: World) -> None:
    data = b"prompt,n\n" + b"hello,1\n" * 100 + b'"open,2\n' + b"hello,3\n" * 100
    assert "A quote in the row at line 102 is never closed." in failed(world, plan(world, "x.csv", data))


def test_the_limit_of_cost_counts_what_is_asked_again(world: World) -> None:
    plain = plan(world, "x.jsonl", GOOD[0])
    assert plain.plan is not None
    world.upload("f/sluice.yaml", b"retry_max_tokens: 60000\nlimits: {max_cost: 0.001}")
    job = plan(world, "f/x.jsonl", GOOD[0])
    assert held(world, job)[0] == "cost"
    assert job.plan is not None
    assert job.plan.worst_cost > 100 * plain.plan.worst_cost


def test_far_too_many_repeated_ids_fail_the_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.jobs.plan.unique_ids.MAX_REPEATED", 5)
    assert "are there more than once" in failed(world, plan(world, "x.jsonl", b"".join(GOOD * 2)))


def test_a_table_asks_for_closed_objects(world: World) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"mood": {"type": "string"}}}
    world.upload("f/sluice.yaml", json.dumps({"schema": schema}).encode())
    job = plan(world, "f/x.csv", b"prompt\nHi\n")
    sent = bodies(world, job)[0]["params"]["output_config"]["format"]["schema"]
    assert sent == {**schema, "required": ["mood"], "additionalProperties": False}
