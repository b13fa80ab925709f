"""The streaming door beside FastAPI on uvicorn with the SDK: processor time, delay, lateness, cold start, memory, cost.

``python -m bench.streaming [SECTION ...] [--streams 200] [--quick]`` prints Markdown tables and which targets are met.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack

from bench.streaming.fleet import Stream, ask_over_http, cpu_seconds, resident_mb, running_fleet
from bench.streaming.surroundings import Bench, copy_ordinary, running_fastapi, start_ordinary
from bench.tables import provenance
from simulator.client import Reply

PARAMS = {
    "model": "claude-sonnet-5",
    "max_tokens": 100_000,
    "stream": True,
    "messages": [{"role": "user", "content": "Write"}],
}
BODY = json.dumps(PARAMS).encode()
FIRST = b"content_block_start"
STAMP = re.compile(rb'"text": ?"(\d+\.\d+) "')
# AWS Lambda: Pricing, us-east-1, arm64, November 2026: dollars per GB-second and per request.
GB_SECOND, REQUEST = 0.0000133334, 0.20 / 1e6
STREAM_SECONDS = 30


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table in Markdown."""
    columns = list(header)
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def event_of(params: Mapping[str, object], **headers: str) -> dict[str, object]:
    """Return the event of a Function URL."""
    http = {"method": "POST", "path": "/v1/messages", "sourceIp": "127.0.0.1"}
    return {
        "rawPath": "/v1/messages",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "anthropic-version": "2023-06-01", **headers},
        "requestContext": {"http": http},
        "body": json.dumps(params),
        "isBase64Encoded": False,
    }


EVENT = event_of(PARAMS)


def measure_processor_time(bench: Bench) -> None:
    """Processor time per event of the serving process, flat out and at the pace of a real answer."""
    paces = {
        "as fast as it comes": Reply(words=3_000 if bench.quick else 20_000),
        "100 events/s": Reply(words=600 if bench.quick else 1500, events_per_second=100),
    }
    rows = []
    for name, reply in paces.items():
        bench.answer(reply)
        with running_fleet() as fleet:
            bench.start_copy(fleet)
            ours = _per_event(lambda: fleet.ask(EVENT, 1), fleet.processes[0].pid)
        with running_fastapi(bench) as (port, pid):
            theirs = _per_event(lambda: ask_over_http(port, BODY, 1), pid)
        part = f"1/{theirs / ours:.1f}"
        rows.append((name, f"{ours * 1e6:.1f} µs", f"{theirs * 1e6:.1f} µs", part))
        if reply.events_per_second is None:  # At the pace of an answer, waking up is most of what both cost.
            bench.meet("processor time per event: at most 1/10", part, met=ours <= theirs / 10)
    print_table("Processor time per event", ("pace", "Sluice", "FastAPI + SDK", "part"), rows)


def _per_event(ask: Callable[[], list[Stream]], pid: int) -> float:
    ask()
    best = float("inf")
    for _ in range(3):
        before = cpu_seconds(pid)
        events = sum(stream.data.count(b"event: ") for stream in ask())
        best = min(best, (cpu_seconds(pid) - before) / events)
    return best


def measure_first_byte(bench: Bench) -> None:
    """Time from the request to the first event, beside that of Claude itself."""
    bench.answer(Reply(words=3))
    rounds, warm_up = 40 if bench.quick else 200, 5
    with running_fleet() as fleet, running_fastapi(bench) as (port, _):
        bench.start_copy(fleet)
        asks: dict[str, Callable[[], list[Stream]]] = {
            "Claude (simulator) itself": lambda: ask_over_http(bench.simulator_port, BODY, 1),
            "through Sluice": lambda: fleet.ask(EVENT, 1),
            "through FastAPI + SDK": lambda: ask_over_http(port, BODY, 1),
        }
        times: dict[str, list[float]] = {name: [] for name in asks}
        for number in range(rounds + warm_up):
            for name, ask in asks.items():
                seconds = ask()[0].seconds_to(FIRST)
                if number >= warm_up:
                    times[name].append(seconds * 1000)
    medians = {name: statistics.median(values) for name, values in times.items()}
    itself, ours, theirs = medians.values()
    rows = [
        (name, f"{median:.2f} ms", f"{median - itself:.2f} ms", f"{statistics.quantiles(times[name], n=10)[8]:.2f} ms")
        for name, median in medians.items()
    ]
    print_table("Time to the first event", ("way", "median", "added", "90th percentile"), rows)
    part = (ours - itself) / (theirs - itself)
    bench.meet("added time to the first event: at most 1/2", f"{part:.2f}", met=part <= 0.5)


def measure_lateness(bench: Bench, streams: int) -> None:
    """Lateness of each event, many streams at the same time: from its writing by the simulator to its arrival.

    They begin within one second: streams that begin in the same instant would all send in the same instants.
    """
    per_second, seconds = 20.0, 5 if bench.quick else 15
    bench.answer(Reply(words=int(per_second * seconds), stamped=True, events_per_second=per_second))
    with running_fleet() as fleet:
        for _ in range(streams):
            bench.start_copy(fleet)
        fleet.ask(EVENT, streams)
        ours = _lateness(fleet.ask(EVENT, streams, spread=1.0))
    with running_fastapi(bench) as (port, _):
        theirs = _lateness(ask_over_http(port, BODY, streams, spread=1.0))
    itself = _lateness(ask_over_http(bench.simulator_port, BODY, streams, spread=1.0))
    rows = [
        ("Sluice", *_of_lateness(ours), str(streams)),
        ("FastAPI + SDK", *_of_lateness(theirs), "1"),
        ("Claude (simulator) itself", *_of_lateness(itself), "1"),
    ]
    title = f"{streams} concurrent streams of {per_second:.0f} events/s: lateness"
    print_table(title, ("way", "events", "median", "99th percentile", "latest", "processes"), rows)
    late = _percentile(ours, 0.99)
    bench.meet(f"{streams} streams, lateness at the 99th percentile: at most 50 ms", f"{late:.1f} ms", met=late <= 50)


def _lateness(streams: list[Stream]) -> list[float]:
    late = []
    for stream in streams:
        for at, piece in stream.pieces:
            late += [(at - float(stamp)) * 1000 for stamp in STAMP.findall(piece)]
    return sorted(late)


def _percentile(ordered: list[float], part: float) -> float:
    return ordered[int(len(ordered) * part)]


def _of_lateness(late: list[float]) -> tuple[str, str, str, str]:
    return (
        f"{len(late):,}",
        f"{_percentile(late, 0.5):.2f} ms",
        f"{_percentile(late, 0.99):.1f} ms",
        f"{late[-1]:.1f} ms",
    )


def measure_cold_start(bench: Bench) -> None:
    """From the start of the process until it could take an event, and the memory that it then has."""
    ordinary = copy_ordinary(bench.scratch / "ordinary")
    bench.answer(Reply(words=200))
    ours, first, ours_mb, theirs, theirs_mb = [], [], [], [], []
    for _ in range(3 if bench.quick else 7):
        with running_fleet() as fleet:
            ours.append(bench.start_copy(fleet))
            first.append(fleet.ask(EVENT, 1)[0].seconds_to(FIRST))
            ours_mb.append(resident_mb(fleet.processes[0].pid)[1])
        seconds, memory = start_ordinary(ordinary)
        theirs.append(seconds)
        theirs_mb.append(memory)
    mine, other = statistics.median(ours), statistics.median(theirs)
    rows = [
        ("Sluice, byte code compiled", f"{mine:.3f} s", f"{min(ours):.3f} s", f"{max(ours_mb):.0f} MB with a stream"),
        ("SDK, boto3, Tracer, as installed", f"{other:.3f} s", f"{min(theirs):.3f} s", f"{min(theirs_mb):.0f} MB"),
    ]
    print_table("Cold start and memory", ("", "ready, median", "ready, least", "resident at most"), rows)
    print(f"\nFirst event of a cold copy, its look at the secret included: {statistics.median(first) * 1000:.0f} ms.")
    bench.meet("cold start: at most 1/5", f"1/{other / mine:.1f}", met=mine <= other / 5)
    part = max(ours_mb) / min(theirs_mb)
    bench.meet("resident memory: at most 1/2", f"{part:.2f}", met=part <= 0.5)
    print_cost(max(ours_mb), min(theirs_mb))


def print_cost(ours_mb: float, theirs_mb: float) -> None:
    """Print the cost of an hour, with a quarter more memory than was measured, in steps of 64 MB from 128 MB on."""
    sizes = [max(128, 64 * -(-int(measured * 1.25) // 64)) for measured in (ours_mb, theirs_mb)]
    rows = []
    for streams in (1, 100, 10_000):
        costs = [streams * 3600 * (size / 1024 * GB_SECOND + REQUEST / STREAM_SECONDS) for size in sizes]
        rows.append((f"{streams:,}", *(f"${cost:,.4f}" for cost in costs)))
    title = f"Cost of an hour of streaming, answers of {STREAM_SECONDS} s (Lambda, list prices, arm64, without Claude)"
    print_table(title, ("concurrent streams", f"Sluice, {sizes[0]} MB", f"the ordinary way, {sizes[1]} MB"), rows)


def measure_keeping(bench: Bench) -> None:
    """What it costs a stream to be kept: its processor time and the lateness of its events, log on and off."""
    rate = 100.0
    bench.answer(Reply(words=400 if bench.quick else 1500, stamped=True, events_per_second=rate))
    rows, medians = [], []
    with running_fleet() as fleet:
        bench.start_copy(fleet)
        pid = fleet.processes[0].pid
        for name, event in (("off", EVENT), ("on", event_of(PARAMS, **{"sluice-keep": "true"}))):
            fleet.ask(event, 1)
            before = cpu_seconds(pid)
            streams = fleet.ask(event, 1)
            cpu = (cpu_seconds(pid) - before) / streams[0].data.count(b"event: ")
            late = _lateness(streams)
            medians.append(_percentile(late, 0.5))
            rows.append((name, f"{cpu * 1e6:.1f} µs", f"{medians[-1]:.2f} ms", f"{_percentile(late, 0.99):.2f} ms"))
    header = ("log", "processor time per event", "lateness, median", "99th percentile")
    print_table(f"A stream that is kept, {rate:.0f} events/s", header, rows)
    added = medians[1] - medians[0]
    bench.meet("a kept stream: its median event at most 1 ms later", f"{added:+.2f} ms", met=added < 1)


SECTIONS = ("processor", "first", "cold", "keeping", "lateness")


def main() -> int:
    """Measure what is asked for; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", choices=(*SECTIONS, []), help=", ".join(SECTIONS))
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(provenance(["python", "-m", "bench.streaming", *sys.argv[1:]]))
    with ExitStack() as stack:
        bench = Bench(stack, arguments.quick)
        measures: dict[str, Callable[[], None]] = {
            "processor": lambda: measure_processor_time(bench),
            "first": lambda: measure_first_byte(bench),
            "cold": lambda: measure_cold_start(bench),
            "keeping": lambda: measure_keeping(bench),
            "lateness": lambda: measure_lateness(bench, arguments.streams),
        }
        for section in arguments.sections or SECTIONS:
            measures[section]()
    rows = [(each.promise, each.measured, "met" if each.met else "MISSED") for each in bench.targets]
    print_table(f"Targets, on {os.cpu_count()} processors", ("target", "measured", ""), rows)
    return 0 if all(target.met for target in bench.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
