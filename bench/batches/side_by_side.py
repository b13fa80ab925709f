"""Sluice beside the loops of the SDK's documentation: same requests, same simulator, turn by turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.batches.requests import write_requests
from bench.batches.surroundings import Place
from bench.measure import Measurement
from bench.tables import megabytes, ratio, seconds, table


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of each contender; ``wire`` is the time that the bytes alone take to the simulator and back."""

    send: Measurement
    collect: Measurement
    sdk_send: Measurement
    sdk_collect: Measurement
    sdk_order: Measurement
    wire_send: Measurement
    wire_collect: Measurement


def run_rounds(place: Place, requests: int, rounds: int) -> list[Round]:
    """Let all contenders take turns."""
    path = place.folder / "requests.jsonl"
    write_requests(path, requests)
    taken = []
    for _ in range(rounds):
        account, results = place.folder / "account", place.folder / "results.jsonl"
        send = place.sluice("plan+submit", account, path)
        sdk_send = place.sdk("send", path)
        _, batch_id = place.end_batches()
        place.sluice("poll", account, path)
        taken.append(
            Round(
                send=send,
                collect=place.sluice("collect+finish", account, path),
                sdk_send=sdk_send,
                sdk_collect=place.sdk("collect", batch_id),
                sdk_order=place.sdk("collect_in_order", batch_id, path, results),
                wire_send=place.wire("send", path),
                wire_collect=place.wire("collect", batch_id),
            )
        )
        place.simulator.reset()
        shutil.rmtree(account)
    path.unlink()
    return taken


def describe(rounds: Sequence[Round]) -> str:
    """Write the tables: medians, and the median of each round's own ratio."""
    header = ("", "seconds", "of its own processor", "peak memory", "faster by", "by its processor time", "memory")
    send = [
        _row("**Sluice**: plan and submit", rounds, lambda each: each.send, None),
        _row("`json.loads` each line, `batches.create(requests=[...])`", rounds, _sdk_send, _send),
        _wire_row(rounds, lambda each: each.wire_send),
    ]
    collect = [
        _row("**Sluice**: collect, order, account, write", rounds, _collect, None),
        _row("`for r in batches.results(...)`, kept by id, written in order", rounds, _sdk_order, _collect),
        _row("`for r in batches.results(...)`, counted, nothing kept", rounds, _sdk_collect, _collect),
        _wire_row(rounds, lambda each: each.wire_collect),
    ]
    return f"{table(header, send)}\n\n{table(header, collect)}"


def _send(each: Round) -> Measurement:
    return each.send


def _sdk_send(each: Round) -> Measurement:
    return each.sdk_send


def _collect(each: Round) -> Measurement:
    return each.collect


def _sdk_order(each: Round) -> Measurement:
    return each.sdk_order


def _sdk_collect(each: Round) -> Measurement:
    return each.sdk_collect


Pick = Callable[[Round], Measurement]


def _row(name: str, rounds: Sequence[Round], pick: Pick, beside: Pick | None) -> list[str]:
    measured = [pick(each) for each in rounds]
    cells = [
        name,
        seconds(median(each.seconds for each in measured)),
        seconds(median(each.cpu_seconds for each in measured)),
        megabytes(median(each.peak_bytes for each in measured)),
    ]
    return [*cells, *(_ratios(rounds, pick, beside) if beside else ["", "", ""])]


def _wire_row(rounds: Sequence[Round], pick: Pick) -> list[str]:
    measured = [pick(each) for each in rounds]
    times = median(each.seconds for each in measured), median(each.cpu_seconds for each in measured)
    return ["the bytes alone, there already in memory", *map(seconds, times), "", "", "", ""]


def _ratios(rounds: Sequence[Round], pick: Pick, beside: Pick) -> list[str]:
    pairs = [(pick(each), beside(each)) for each in rounds]
    return [
        ratio(median(slow.seconds / fast.seconds for slow, fast in pairs)),
        ratio(median(slow.cpu_seconds / fast.cpu_seconds for slow, fast in pairs)),
        ratio(median(slow.peak_bytes / fast.peak_bytes for slow, fast in pairs)),
    ]
