"""Collecting: the results of batches put in order, accounted for and written, beside the SDK's own loop.

``python -m bench.collect [REQUESTS ...]`` prints seconds and peak memory, each measured in a process of its own,
against the same simulator. More than 100,000 requests are collected shard by shard in one process, as by a warm
function.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.plan import write_requests
from local.simulator.client import API_KEY, running_simulator

SIZES = (1_000, 100_000, 1_000_000)
_SHARD = 100_000
_POLL_SECONDS = 0.2


def make_batches(folder: Path, base_url: str, count: int) -> list[str]:
    """Send requests as batches, and leave what collecting needs of each: its id and its ``custom_id``s."""
    from sluice.claude.api import ClaudeApi
    from sluice.jobs.sources.body import batch_body, body_length
    from sluice.jobs.sources.shard_requests import read_request

    requests, claude = folder / "requests.jsonl", ClaudeApi(base_url, lambda: API_KEY)
    write_requests(requests, count)
    batch_ids = []
    with requests.open("rb") as file:
        for shard in range(-(-count // _SHARD)):
            lines = [line for _, line in zip(range(_SHARD), file, strict=False)]
            ids = b"".join(read_request(line).custom_id.encode() + b"\n" for line in lines)
            _path(folder, f"ids-{shard}").write_bytes(ids)
            length = body_length(sum(map(len, lines)), lines[0], _nonce(shard))
            batch = claude.create_batch(batch_body([b"".join(lines)], _nonce(shard)), length)
            while not claude.retrieve_batch(batch.id).ended:
                time.sleep(_POLL_SECONDS)
            batch_ids.append(batch.id)
    claude.close()
    requests.unlink()
    return batch_ids


def _path(folder: Path, key: str) -> Path:
    outbox = folder / "outbox"
    outbox.mkdir(exist_ok=True)
    return outbox / key


def _nonce(shard: int) -> str:
    return f"sluice-{shard}-0-nonce"


def prepare_sluice(folder: Path, base_url: str, batch_ids: list[str]) -> Callable[[], None]:
    """Do what ``collect_shard`` does with each batch, but for the table's transaction."""
    from bench.local_s3 import local_objects
    from sluice.claude.api import ClaudeApi
    from sluice.jobs.model import Shard, ShardRef, Source
    from sluice.jobs.services import Services
    from sluice.jobs.settings import JobSettings

    nothing: Any = None
    settings, claude = JobSettings(table="", outbox="outbox"), ClaudeApi(base_url, lambda: API_KEY)
    services = Services(settings, nothing, local_objects(folder), nothing, nothing, claude)
    source, shards = Source("inbox", "requests.jsonl", None, 0, 0), []
    for number, batch_id in enumerate(batch_ids):
        ref, ids_key = ShardRef("bench", number, 0), f"ids-{number}"
        count = claude.retrieve_batch(batch_id).count
        shards.append(Shard(ref, source, count, 0, ids_key, _nonce(number), batch_id=batch_id))

    def run() -> None:
        for shard in shards:
            _collect(services, shard)

    return run


def _collect(services: Any, shard: Any) -> None:
    from sluice.claude.prices import shipped_prices
    from sluice.jobs.collection.harvest import harvest_results
    from sluice.jobs.collection.order import open_arrivals
    from sluice.jobs.collection.parts import write_parts, write_stats
    from sluice.jobs.collection.settle import settle
    from sluice.jobs.collection.waves import Policy

    with open_arrivals(shard.count) as arrivals, tempfile.TemporaryFile() as spool:
        harvest = harvest_results(services, shard, shipped_prices(), arrivals)
        settlement = settle(services, harvest, Policy(4, 60.0), spool, cancelled=False)
        write_parts(services, settlement)
        write_stats(services, settlement)
    if settlement.succeeded != shard.count:
        raise SystemExit(f"{settlement.succeeded} of {shard.count} requests were answered")


def prepare_loop(_folder: Path, base_url: str, batch_ids: list[str]) -> Callable[[], None]:
    """Do what the SDK's documentation does: read each result, and look at it."""
    import anthropic

    client = anthropic.Anthropic(api_key=API_KEY, base_url=base_url)

    def run() -> None:
        tokens = 0
        for batch_id in batch_ids:
            for each in client.messages.batches.results(batch_id):
                if each.result.type == "succeeded":
                    tokens += each.result.message.usage.output_tokens

    return run


def prepare_ordered_loop(folder: Path, base_url: str, batch_ids: list[str]) -> Callable[[], None]:
    """Do with the SDK what collecting does: keep the results by ``custom_id``, and write them in order."""
    import anthropic

    client = anthropic.Anthropic(api_key=API_KEY, base_url=base_url)

    def run() -> None:
        with _path(folder, "loop.jsonl").open("w") as file:
            for number, batch_id in enumerate(batch_ids):
                ids = _path(folder, f"ids-{number}").read_text().split()
                kept = {each.custom_id: each for each in client.messages.batches.results(batch_id)}
                kept[ids[0]] = kept.pop(_nonce(number))
                file.writelines(kept[custom_id].to_json(indent=None) + "\n" for custom_id in ids)

    return run


def prepare_nothing(folder: Path, base_url: str, batch_ids: list[str]) -> Callable[[], None]:
    """Import what collecting imports, and make its clients."""
    prepare_sluice(folder, base_url, batch_ids)
    return lambda: None


STEPS = {
    "imports": prepare_nothing,
    "sluice": prepare_sluice,
    "loop": prepare_loop,
    "ordered-loop": prepare_ordered_loop,
}


def _measure(step: str, folder: Path, base_url: str, batch_ids: list[str]) -> None:
    """Time a step whose modules and clients are there, as those of a warm function are; its memory has all in it."""
    run = STEPS[step](folder, base_url, batch_ids)
    begun, worked = time.perf_counter(), time.process_time()
    run()
    seconds, processor = time.perf_counter() - begun, time.process_time() - worked
    print(json.dumps({"seconds": round(seconds, 3), "processor": round(processor, 3), "peak_mb": _peak_megabytes()}))


def _peak_megabytes() -> float:
    """The most memory that this process ever had; what ``resource`` says includes that of the parent."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def _in_its_own_process(step: str, folder: Path, base_url: str, batch_ids: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.collect", "--measure", step, str(folder), base_url, ",".join(batch_ids)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def main(arguments: Iterable[str]) -> None:
    sizes = tuple(map(int, arguments)) or SIZES
    for size in sizes:
        with tempfile.TemporaryDirectory() as name, running_simulator(batch_seconds=0) as simulator:
            folder = Path(name)
            batch_ids = make_batches(folder, simulator.base_url, size)
            for step in STEPS if size <= _SHARD else ("imports", "sluice"):
                measured = _in_its_own_process(step, folder, simulator.base_url, batch_ids)
                print(f"{size:>9,} requests  {step:12}", measured, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        _measure(sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5].split(","))
    else:
        main(sys.argv[1:])
