from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from local.facts import StackFacts, read_facts, remove_facts, write_facts

FACTS = StackFacts(
    stream_url="http://127.0.0.1:1",
    api_url="http://127.0.0.1:2/_aws/lambda-url/x",
    aws_endpoint_url="http://127.0.0.1:2",
    region="us-east-1",
    inbox_bucket="in",
    outbox_bucket="out",
    table="table",
    completion_topic_arn="arn:aws:sns:us-east-1:000000000000:topic",
    claude_base_url="http://127.0.0.1:3",
    client_key=None,
    webhook_secret="whsec_c2VjcmV0",
    notifications_queue_url="http://127.0.0.1:2/q",
    log_dir="/logs",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stack.json"


def test_facts_are_read_as_they_were_written(path: Path) -> None:
    write_facts(path, FACTS)
    assert read_facts(path) == FACTS


def test_no_key_is_null(path: Path) -> None:
    write_facts(path, FACTS)
    assert json.loads(path.read_text())["client_key"] is None


def test_nothing_is_left_beside_the_facts(path: Path) -> None:
    write_facts(path, FACTS)
    write_facts(path, replace(FACTS, table="another"))
    assert list(path.parent.iterdir()) == [path]


def test_the_facts_go_with_the_stack(path: Path) -> None:
    write_facts(path, FACTS)
    remove_facts(path, FACTS)
    assert not path.exists()


def test_the_facts_of_another_stack_stay(path: Path) -> None:
    write_facts(path, replace(FACTS, table="another"))
    remove_facts(path, FACTS)
    assert read_facts(path).table == "another"


def test_facts_that_are_gone_already_are_no_error(path: Path) -> None:
    remove_facts(path, FACTS)
    assert not path.exists()
