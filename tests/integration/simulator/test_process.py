"""The simulator as a process: how it starts, what it takes, how it ends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from simulator.client import API_KEY, running_simulator

ROOT = Path(__file__).resolve().parents[3]
HEADERS = {"x-api-key": API_KEY, "anthropic-version": "2026-10-21"}
REQUEST = '{{"custom_id":"r{}","params":{{"model":"claude-sonnet-5","max_tokens":20,"messages":[{}]}}}}'


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "simulator", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def base_url_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def ended_in_silence(process: subprocess.Popen[bytes]) -> bool:
    assert process.stderr is not None
    return process.wait(10) == 0 and process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    port_file, data_dir = tmp_path / "port", tmp_path / "data"
    data_dir.mkdir()
    with started("--port-file", str(port_file), "--data-dir", str(data_dir)) as process:
        base_url = base_url_of(process)
        assert base_url == f"http://127.0.0.1:{port_file.read_text().strip()}"
        assert httpx2.get(f"{base_url}/_simulator/health").json() == {"status": "ready", "pid": process.pid}
        process.send_signal(number)
        assert ended_in_silence(process)
    assert list(data_dir.iterdir()) == []


def test_it_does_not_wait_for_open_streams_when_it_ends() -> None:
    with started() as process:
        base_url = base_url_of(process)
        rule = {"action": {"type": "break", "how": "stall", "after_events": 1}}
        httpx2.post(f"{base_url}/_simulator/faults", json=rule).raise_for_status()
        body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        with httpx2.stream("POST", f"{base_url}/v1/messages", json={**body, "stream": True}, headers=HEADERS) as stream:
            pieces = stream.iter_raw()
            next(pieces)
            process.terminate()
            with pytest.raises(httpx2.TransportError):
                next(pieces)
        assert ended_in_silence(process)


def test_it_ends_with_the_process_that_started_it() -> None:
    with started("--until-stdin-closes") as process:
        assert base_url_of(process)
        assert process.stdin is not None
        process.stdin.close()
        assert ended_in_silence(process)


def test_two_run_side_by_side() -> None:
    with running_simulator() as first, running_simulator() as second:
        assert first.base_url != second.base_url
        first.set(batch_seconds=7)
        assert second.set().batch_seconds == 0


def peak_memory(pid: int) -> int:
    """Bytes; Linux: VmHWM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of another process's memory is in /proc")
def test_a_batch_that_is_sent_in_pieces_is_taken_in_little_memory(tmp_path: Path) -> None:
    turn = '{"role":"user","content":"' + "A long question about the sea. " * 40 + '"}'
    requests = [REQUEST.format(number, turn).encode() for number in range(20_000)]

    def body() -> Iterator[bytes]:
        yield b'{"requests":['
        for start in range(0, len(requests), 100):
            yield (b"," if start else b"") + b",".join(requests[start : start + 100])
        yield b"]}"

    with running_simulator(batch_seconds=3600, data_dir=tmp_path) as simulator:
        before = peak_memory(simulator.pid())
        made = httpx2.post(f"{simulator.base_url}/v1/messages/batches", content=body(), headers=HEADERS, timeout=60)
        assert made.json()["request_counts"]["processing"] == 20_000
        record = simulator.end_batch(made.json()["id"])
        assert record.request_counts.succeeded == 20_000
        assert record.size > 25_000_000
        assert peak_memory(simulator.pid()) - before < 16_000_000


def test_words_in_prompts_steer_its_answers_where_it_was_told_so() -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Please REFUSE."}]}
    reasons = []
    for arguments in ((), ("--words",)):
        with started(*arguments) as process:
            answer = httpx2.post(f"{base_url_of(process)}/v1/messages", json=body, headers=HEADERS).json()
            reasons.append((answer["stop_reason"], "stop_details" in answer))
    assert reasons[0][0] != "refusal"
    assert reasons == [(reasons[0][0], False), ("refusal", True)]
