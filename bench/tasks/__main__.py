"""The task door on the embedded stack: how long a caller waits, and how many tasks it takes from queue to callback.

``python -m bench.tasks [--quick] [--tasks 500] [--calls 100] [--callers 8]`` prints Markdown tables. The emulator, the
functions, the simulator, the callers and the receiver share the machine, so the figures are a floor, not what AWS does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from urllib.parse import SplitResult, urlsplit

from standardwebhooks import Webhook

from bench.tables import provenance, table
from local.facts import StackFacts
from local.options import Options
from local.stack import running_stack
from local.template import ROOT
from simulator.client import Reply, Simulator

# An answer as Claude writes it: 300 words at 60 events a second.
ORDINARY_ANSWER = Reply(words=300, events_per_second=60)
SHORT_ANSWER = Reply(words=20)
PARAMS = {"model": "claude-haiku-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": "Write."}]}
_PATIENCE_SECONDS = 300.0


@dataclass
class Receiver:
    """``arrived`` has the time of each callback by the task's id; each was checked against its signature."""

    url: str = ""
    arrived: dict[str, float] = field(default_factory=dict)
    expected: int = 0
    complete: threading.Event = field(default_factory=threading.Event)

    def note(self, task_id: str) -> None:
        self.arrived.setdefault(task_id, monotonic())
        if len(self.arrived) == self.expected:
            self.complete.set()


@contextmanager
def running_receiver(secret: str) -> Iterator[Receiver]:
    """Run a receiver that verifies every callback, as the README tells receivers to."""
    receiver, webhook = Receiver(), Webhook(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            event = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
            receiver.note(event["data"]["id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the output to the tables."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/callback"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Caller:
    """A caller with one connection that stays open."""

    def __init__(self, url: str, key: str) -> None:
        self._url: SplitResult = urlsplit(url)
        self._headers = {"content-type": "application/json", "x-api-key": key, "anthropic-version": "2023-06-01"}
        self._connection = http.client.HTTPConnection(str(self._url.hostname), self._url.port, timeout=120)

    def post(self, path: str, body: object, expected: int = 200) -> bytes:
        """Post JSON and read the answer to its end. Raises RuntimeError where it has another status."""
        target = self._url.path.rstrip("/") + path
        self._connection.request("POST", target, json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != expected:
            raise RuntimeError(f"{path} answered {answer.status}: {content[:200]!r}")
        return content

    def submit(self, **task: object) -> str:
        """Queue a task and return its id."""
        return str(json.loads(self.post("/v1/tasks", {"params": PARAMS, **task}, 202))["id"])


def measure_waits(call: Callable[[], object], count: int) -> list[float]:
    """Return how long each of ``count`` calls took, in seconds; the first, which may be cold, is left out."""
    call()
    waits = []
    for _ in range(count):
        begun = monotonic()
        call()
        waits.append(monotonic() - begun)
    return waits


def compare_waits(facts: StackFacts, simulator: Simulator, calls: int) -> None:
    """How long a caller waits for ``202``, beside waiting for the answer itself, and beside a call for nothing."""
    simulator.answer(ORDINARY_ANSWER)
    key, streamed = facts.client_key or "", {**PARAMS, "stream": True}
    api, nobody, claude = (
        Caller(facts.api_url, key),
        Caller(facts.api_url, ""),
        Caller(facts.claude_base_url, "sk-ant-simulator"),
    )
    rows = [
        ("`POST /v1/tasks`, until 202", measure_waits(api.submit, calls)),
        (
            "the same without a key, until 401: the emulator alone",
            measure_waits(lambda: nobody.post("/v1/tasks", {}, 401), calls),
        ),
        # Each takes seconds, and every one takes the same.
        (
            "Claude itself, until its last word",
            measure_waits(lambda: claude.post("/v1/messages", streamed), max(calls // 10, 3)),
        ),
    ]
    simulator.forget_answers()
    print("\n### What the caller waits\n")
    print(table(("call", "p50", "p99"), [(name, *_percentiles(waits)) for name, waits in rows]), flush=True)


def measure_throughput(facts: StackFacts, simulator: Simulator, tasks: int, callers: int) -> None:
    """Tasks per second from the first call to the last verified callback."""
    simulator.answer(SHORT_ANSWER)
    with running_receiver(facts.webhook_secret) as receiver:
        submit_all(facts, receiver, 20, callers)
        receiver.arrived.clear()
        sent = submit_all(facts, receiver, tasks, callers)
        begun, submitted, ended = min(sent.values()), max(sent.values()), max(receiver.arrived.values())
        delays = [receiver.arrived[task_id] - at for task_id, at in sent.items()]
    simulator.forget_answers()
    row = (
        str(tasks),
        f"{tasks / (submitted - begun):.0f}/s",
        f"{tasks / (ended - begun):.0f}/s",
        *_percentiles(delays),
    )
    header = ("tasks", "taken", "from call to callback", "one task p50", "p99")
    origin = provenance(["python", "-m", "bench.tasks", *sys.argv[1:]])
    print(f"\n### Throughput with {callers} callers at once\n\n{table(header, [row])}\n\n{origin}")


def submit_all(facts: StackFacts, receiver: Receiver, tasks: int, callers: int) -> dict[str, float]:
    """Queue tasks, wait for all their callbacks, and return when each was sent."""
    receiver.expected = tasks
    receiver.complete.clear()

    def submit(count: int) -> dict[str, float]:
        caller = Caller(facts.api_url, facts.client_key or "")
        sent = {}
        for _ in range(count):
            begun = monotonic()
            sent[caller.submit(callback_url=receiver.url)] = begun
        return sent

    shares = [tasks // callers + (number < tasks % callers) for number in range(callers)]
    with ThreadPoolExecutor(callers) as threads:
        sent = {task_id: at for share in threads.map(submit, shares) for task_id, at in share.items()}
    if not receiver.complete.wait(_PATIENCE_SECONDS):
        raise RuntimeError(f"{tasks - len(receiver.arrived)} of {tasks} callbacks did not come.")
    return sent


def _percentiles(seconds: Sequence[float]) -> tuple[str, str]:
    """Write the 50th and the 99th percentile."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{cuts[49] * 1000:.0f} ms", f"{cuts[98] * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="few of all, to see that it works")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.tasks, chosen.calls = 40, 10
    subprocess.run([sys.executable, "-m", "bench.tasks.own_time"], check=True)
    with running_stack(Options(state_dir=ROOT / ".local/bench-tasks")) as stack:
        simulator = Simulator(stack.facts.claude_base_url)
        compare_waits(stack.facts, simulator, chosen.calls)
        measure_throughput(stack.facts, simulator, chosen.tasks, chosen.callers)
        simulator.close()


if __name__ == "__main__":
    main()
