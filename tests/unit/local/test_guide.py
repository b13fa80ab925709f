from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

from local.guide import guide
from tests.unit.local.test_facts import FACTS

TEXT = guide(FACTS, Path("/state/stack.json"), "claude-haiku-5-5", is_simulated=True)


def test_every_door_is_shown_where_it_is() -> None:
    for value in (FACTS.stream_url, FACTS.api_url, f"s3://{FACTS.inbox_bucket}/", f"s3://{FACTS.outbox_bucket}/"):
        assert value in TEXT


def test_the_question_to_copy_is_one_line_of_a_batch() -> None:
    [line] = re.findall(r"echo '(.*)' > questions\.jsonl", TEXT)
    request = json.loads(line)
    assert request["custom_id"]
    assert request["params"]["model"] == "claude-haiku-5-5"


def test_a_shell_can_read_every_call() -> None:
    calls = "\n".join(line.strip() for line in TEXT.splitlines() if re.match(r"  (curl|echo|aws|export)|    -", line))
    assert subprocess.run(["bash", "-n"], input=calls, text=True, capture_output=True, check=False).stderr == ""


def test_a_real_server_is_not_called_a_simulator() -> None:
    text = guide(FACTS, Path("/state/stack.json"), "claude-haiku-5-5", is_simulated=False)
    assert "simulator" not in text


def test_no_key_is_asked_for_where_none_is_needed() -> None:
    assert "SLUICE_KEY=none-needed" in TEXT
    assert "SLUICE_KEY=sk-1" in guide(replace(FACTS, client_key="sk-1"), Path(), "m", is_simulated=True)
