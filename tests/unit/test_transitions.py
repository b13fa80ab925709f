"""The transitions as data, and the drawings of them that people read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from sluice.aws.dynamodb import Key, Update
from sluice.errors import ConditionFailed
from sluice.jobs import model
from sluice.streams.resumable import table as stream_table
from sluice.tasks import task
from sluice.transitions import Transition, move

UPDATE = Update(Key("JOB#a", "JOB"), set={"at": 1}, where={"held_at": 2})
START: Transition[str] = Transition(("planned", "held"), ("running",))
END: Transition[str] = Transition(("running",), ("finished", "failed"))
STAY: Transition[str] = Transition(("running",))


def drawn_edges(drawing: str, label: str) -> Iterator[tuple[str, str]]:
    """Read lines such as ``job  a | b -> c -> d      a note``, and the lines below them that have no label."""
    lines = re.search(rf"^{label}  +.*\n(?:  +.*\n)*", drawing, re.MULTILINE)
    assert lines is not None
    for line in lines[0].removeprefix(label).splitlines():
        chain = re.split(r" {4,}", line.strip())[0].split(" -> ")
        for before, after in pairwise(chain):
            for found in before.split(" | "):
                yield from ((found, to) for to in after.split(" | ") if to != found)


@pytest.mark.parametrize(
    ("module", "label", "transitions"),
    [
        (model, "job", model.JOB_TRANSITIONS),
        (model, "shard", model.SHARD_TRANSITIONS),
        (task, "status", task.TASK_TRANSITIONS),
        (task, "callback", task.CALLBACK_TRANSITIONS),
        (stream_table, "stream", stream_table.STREAM_TRANSITIONS),
    ],
)
def test_the_drawing_of_the_states_says_what_the_data_says(
    module: ModuleType, label: str, transitions: Mapping[str, Transition[Any]]
) -> None:
    drawn = set(drawn_edges(module.__doc__ or "", label))

    assert drawn == {edge for transition in transitions.values() for edge in transition.edges}


def test_a_move_sets_the_state_and_finds_one_of_its_sources() -> None:
    moved = move(UPDATE, START)

    assert moved.set == {"status": "running", "at": 1}
    assert moved.where == {"status": ("planned", "held"), "held_at": 2}


def test_a_move_that_leads_nowhere_leaves_the_state() -> None:
    moved = move(UPDATE, STAY, attribute="callback")

    assert moved.set == {"at": 1}
    assert moved.where == {"callback": ("running",), "held_at": 2}


def test_a_move_from_the_state_that_was_seen_finds_no_other() -> None:
    assert move(UPDATE, START, seen="held").where["status"] == "held"
    with pytest.raises(ConditionFailed):
        move(UPDATE, START, seen="running")


@pytest.mark.parametrize(("transition", "to"), [(START, "failed"), (END, None), (STAY, "running")])
def test_a_move_to_a_state_that_is_not_its_target_is_a_mistake(transition: Transition[str], to: str | None) -> None:
    with pytest.raises(ValueError, match="lead"):
        move(UPDATE, transition, to)
