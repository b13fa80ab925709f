"""A soak: clients of all modes, random faults, and in the end four accounts that have to agree.

``python -m bench.streaming.soak [--seconds 180] [--clients 12] [--seed 1]``: what the clients saw, what the functions
logged, what the table says that the key has used, and what Claude's simulator charges for. Prints the counts; 1 if they
differ.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from bench.streaming.surroundings import running_aws
from local.function_url import running_function_url
from simulator.client import Break, Pace, Refuse, Reply, Simulator, running_simulator
from simulator.faults import Action, BreakHow
from simulator.messages import Usage
from simulator.record import Exchange
from sluice.access.store import KeyStore, KeyTerms
from sluice.access.usage import MonthlyUsage, month_of, read_usage
from sluice.aws.dynamodb import Table
from sluice.aws.sigv4 import Credentials
from sluice.aws.stdlib_client import AwsAccess, DynamoDb
from sluice.claude.events import FrameSplitter, parse_frame

ROOT = Path(__file__).resolve().parents[2]
PARAMS = {"model": "claude-sonnet-5", "max_tokens": 5000, "messages": [{"role": "user", "content": "Write on and on"}]}
MODES = ("stream", "whole", "text", "kept", "continued", "resumed", "cached", "fast", "searching", "in one country")
HEADERS: dict[str, dict[str, str]] = {
    "text": {"accept": "text/plain"},
    "kept": {"sluice-keep": "true"},
    "continued": {"sluice-continue": "true"},
    "resumed": {"sluice-keep": "true"},
}
# What is charged for besides a model's own tokens.
FEATURES: dict[str, dict[str, Any]] = {
    "fast": {"model": "claude-opus-5-5", "speed": "fast"},
    "searching": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
    "in one country": {"inference_geo": "us"},
}
# US dollars a million: input, output, five minutes' and an hour's cache write, cache read. Written down here once more,
# so that they are not taken from what is to be tested.
RATES = {"claude-sonnet-5": (2.0, 10.0, 2.5, 4.0, 0.2), "claude-opus-5-5": (4.0, 20.0, 5.0, 8.0, 0.2)}
BUDGET = 1_000_000.0
CUTS: tuple[BreakHow, ...] = ("reset", "close", "end", "bad_json", "cut_utf8")
FAULTS: tuple[Action, ...] = (
    *(Break(how=how, after_events=count) for how in CUTS for count in (0, 9)),
    Break(how="error_event", after_events=12),
    Break(how="stall", after_events=5),
    Break(how="reset"),
    Refuse(status=529),
    Refuse(status=400),
    Pace(chunk_bytes=61, chunk_seconds=0.0005),
)


@dataclass
class Tally:
    """What the clients saw: answers by their end, and what they cannot be."""

    ends: Counter[str] = field(default_factory=Counter)
    request_ids: dict[str, str] = field(default_factory=dict)
    lies: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, mode: str, end: str, request_id: str) -> None:
        """Note how a call ended; "left" for one whose end the client did not wait for."""
        with self.lock:
            self.ends[f"{mode}: {end}"] += 1
            self.request_ids[request_id] = end

    def lie(self, what: str) -> None:
        with self.lock:
            self.lies.append(what)


def end_of(mode: str, response: httpx2.Response, tally: Tally) -> str:
    """Return how an answer ended; a lie is an answer that has no end at all."""
    if response.status_code != 200:
        return "refused" if response.status_code >= 400 else "unclear"
    if mode == "whole":
        return "succeeded" if response.json()["type"] == "message" else "unclear"
    if mode == "text":
        last_line = response.text.rstrip("\n").rpartition("\n")[2]
        return "cut" if last_line.startswith("[") else "succeeded"
    frames = FrameSplitter().feed(response.content)
    events = [event for frame in frames if (event := parse_frame(frame)) is not None]
    ids = [int(event.id) for event in events if event.id is not None]
    if ids != list(range(1, len(ids) + 1)):
        tally.lie(f"ids with a gap: {ids}")
    return {"message_stop": "succeeded", "error": "cut"}.get(events[-1].name if events else "", "unclear")


def run_client(url: str, key: str, seed: int, until: float, tally: Tally) -> None:
    """Ask again and again, in random modes, until it is time."""
    chance = random.Random(seed)
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    with httpx2.Client(timeout=60, trust_env=False, verify=False) as client:
        while time.monotonic() < until:
            mode = chance.choice(MODES)
            params = {**PARAMS, **FEATURES.get(mode, {}), "stream": mode not in ("whole", "text")}
            if mode == "cached":
                params["system"] = [long_system(chance.randrange(5))]
            call: dict[str, Any] = {"json": params, "headers": {**headers, **HEADERS.get(mode, {})}}
            if mode == "resumed":
                response = leave_and_resume(client, url, call, tally)
            else:
                response = client.post(f"{url}/v1/messages", **call)
            end = end_of(mode, response, tally)
            if end == "unclear":
                tally.lie(f"{mode}: {response.status_code} {response.text[-200:]}")
            tally.note(mode, end, response.headers["x-amzn-requestid"])


def long_system(number: int) -> dict[str, Any]:
    """A system prompt that is written to the cache for an hour by the first call, and read by those that follow."""
    control = {"type": "ephemeral", "ttl": "1h"}
    return {"type": "text", "text": f"Rule {number}: be brief. " * 400, "cache_control": control}


def leave_and_resume(client: httpx2.Client, url: str, call: dict[str, Any], tally: Tally) -> httpx2.Response:
    """Leave a stream that is kept after its first bytes; return all of it, as who resumes it gets it."""
    with client.stream("POST", f"{url}/v1/messages", **call) as response:
        if response.status_code != 200 or "sluice-stream-id" not in response.headers:
            response.read()
            return response
        next(response.iter_bytes(), b"")
    tally.note("resumed", "left", response.headers["x-amzn-requestid"])
    return client.get(f"{url}/v1/streams/{response.headers['sluice-stream-id']}", headers=call["headers"])


def script_faults(simulator: Simulator, seed: int) -> None:
    """Let each fault strike a few calls in a hundred, by chance."""
    for number, fault in enumerate(FAULTS):
        simulator.fail(fault, share=0.03, seed=seed * 100 + number)
    simulator.answer(Reply(words=40), share=0.7, seed=seed)
    simulator.answer(Reply(words=120, pings=5, events_per_second=400))


def read_log(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the lines of all calls, by request. Raises RuntimeError where one could not be accounted for."""
    texts = [text for path in folder.rglob("*") if path.is_file() for text in path.read_text().splitlines()]
    if lost := [text for text in texts if '"message":"not accounted"' in text]:
        raise RuntimeError(f"{len(lost)} calls could not be accounted for: {lost[0]}")
    lines = [json.loads(text[text.index("{") :]) for text in texts if '"message":"call"' in text]
    return {line["request_id"]: line for line in lines}


def compare(tally: Tally, log: dict[str, dict[str, Any]], usage: MonthlyUsage, charged: list[Exchange]) -> list[str]:
    """Hold the four accounts against each other."""
    wrong = list(tally.lies)
    wrong += [f"logged {len(log)} calls of {len(tally.request_ids)}"] if len(log) != len(tally.request_ids) else []
    for request_id, end in tally.request_ids.items():
        logged = log.get(request_id, {}).get("outcome")
        if logged != end and end != "left":
            wrong.append(f"{request_id}: the client saw {end}, the log has {logged}")
    for name in ("input_tokens", "output_tokens"):
        logged_tokens = sum(line[name] for line in log.values())
        if logged_tokens != getattr(usage, name):
            wrong.append(f"{name}: {logged_tokens} logged, {getattr(usage, name)} accounted")
    succeeded = sum(line["outcome"] == "succeeded" and line["output_tokens"] > 0 for line in log.values())
    if succeeded != usage.succeeded:
        wrong.append(f"{succeeded} answers succeeded, {usage.succeeded} are accounted as such")
    return wrong + compare_bill(log, usage, charged)


def dollars(usage: Usage, model: str, *, output_tokens: int | None = None) -> float:
    """Return what an answer is charged for."""
    of_input, of_output, of_write, of_write_1h, of_read = RATES[model]
    written = usage.cache_creation
    tokens = usage.input_tokens * of_input + usage.cache_read_input_tokens * of_read
    tokens += (usage.output_tokens if output_tokens is None else output_tokens) * of_output
    tokens += written.ephemeral_5m_input_tokens * of_write + written.ephemeral_1h_input_tokens * of_write_1h
    factor = (2.0 if usage.speed == "fast" else 1.0) * (1.1 if usage.inference_geo == "us" else 1.0)
    searches = usage.server_tool_use.web_search_requests if usage.server_tool_use else 0
    return tokens / 1e6 * factor + searches * 0.01


def compare_bill(log: dict[str, dict[str, Any]], usage: MonthlyUsage, charged: list[Exchange]) -> list[str]:
    """Hold what is logged and accounted against what Claude charges for.

    An answer that came whole, at the first try, costs to the cent what it is charged for. Where some were cut, of which
    nobody knows all, the whole of it lies between what they cost at least and at most.
    """
    bill = {each.request_id: each for each in charged if each.usage is not None}
    wrong, whole = [], 0
    for request_id, line in log.items():
        exchange = bill.get(line.get("claude_request_id", ""))
        if exchange is None or exchange.usage is None or line["tries"] != 1 or line["outcome"] != "succeeded":
            continue
        whole += 1
        if line["continuations"] == 0 and abs(line["cost"] - dollars(exchange.usage, str(exchange.model))) > 1e-9:
            wrong.append(f"{request_id}: {line['cost']} logged, {exchange.usage} charged")
    wrong += [] if whole else ["no answer came whole"]
    logged = sum(line.get("cost", 0.0) for line in log.values())
    if abs(logged - usage.cost) > 1e-6 or abs(usage.cost - usage.committed) > 1e-6:
        wrong.append(f"${logged:.6f} logged, ${usage.cost:.6f} accounted, ${usage.committed:.6f} committed")
    least = sum(dollars(each.usage, str(each.model), output_tokens=1) for each in bill.values() if each.usage)
    most = sum(dollars(each.usage, str(each.model)) for each in bill.values() if each.usage)
    lost = sum(line.get("lost_answers", 0) for line in log.values())
    # An answer that nobody read counts as much as it could cost: 5,000 tokens, in fast mode, and a long prompt.
    if not least <= usage.cost <= most + lost * 1.0 + 1e-6:
        wrong.append(f"${usage.cost:.6f} accounted, ${least:.6f} to ${most:.6f} charged, and {lost} answers lost")
    return wrong


def soak(seconds: float, clients: int, seed: int) -> tuple[Tally, list[str]]:
    """Run the soak; return what the clients saw, and what does not agree."""
    tally = Tally()
    with ExitStack() as stack:
        endpoint = stack.enter_context(running_aws())
        simulator = stack.enter_context(running_simulator())
        log_dir = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        table = Table(DynamoDb(AwsAccess("us-east-1", Credentials("test", "test"), endpoint)), "bench")
        key = KeyStore(table).create(KeyTerms("soak", budget=BUDGET))
        script_faults(simulator, seed)
        with running_function_url(
            task_root=ROOT / "functions" / "stream_messages",
            environment=environment_of(endpoint, simulator.base_url),
            copies=clients + 2,
            log_dir=log_dir,
            timeout_seconds=9.0,
        ) as url:
            run_clients(url, key.text, seconds, [seed * 1000 + number for number in range(clients)], tally)
        usage = read_usage(table, key.id, month_of(time.time()))
        return tally, compare(tally, read_log(log_dir), usage, simulator.requests("messages"))


def run_clients(url: str, key: str, seconds: float, seeds: list[int], tally: Tally) -> None:
    """Run a client for each seed, all at the same time."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=run_client, args=(url, key, seed, until, tally)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def environment_of(endpoint: str, claude: str) -> dict[str, str]:
    """Return the environment of the function, with clocks that a soak has the time for."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SLUICE_TABLE": "bench",
        "SLUICE_CLAUDE_SECRET": "bench",
        "SLUICE_CLAUDE_BASE_URL": claude,
        "SLUICE_AUTH_MODE": "keys",
        "SLUICE_PING_TIMEOUT_SECONDS": "1",
        "SLUICE_CONTENT_TIMEOUT_SECONDS": "3",
        "SLUICE_CONNECT_RETRY_SECONDS": "3",
    }


def main() -> int:
    """Run the soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally, wrong = soak(arguments.seconds, arguments.clients, arguments.seed)
    print("| answers | |\n|---|---|")
    for end, count in sorted(tally.ends.items()):
        print(f"| {end} | {count} |")
    print(f"\n{len(tally.request_ids)} calls; clients, log, accounts and bill {'differ:' if wrong else 'agree.'}")
    print(*wrong[:20], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
