"""What a user would write otherwise: the loops of the SDK's documentation, each run as a process of its own."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from anthropic import Anthropic
from anthropic.types.messages import MessageBatchIndividualResponse

from bench.measure import print_measured

API_KEY = "sk-ant-simulator"


def send(client: Anthropic, path: Path) -> dict[str, float]:
    """Make one batch of all the requests of a file."""
    with path.open() as file:
        requests = [json.loads(line) for line in file]
    batch = client.messages.batches.create(requests=requests)
    return {"requests": batch.request_counts.processing}


def collect(client: Anthropic, batch_id: str) -> dict[str, float]:
    """Look at each result, and add up what it used; keep nothing."""
    totals: Counter[str] = Counter()
    for result in client.messages.batches.results(batch_id):
        _account(result, totals)
    return dict(totals)


def collect_in_order(client: Anthropic, batch_id: str, path: Path, results_path: Path) -> dict[str, float]:
    """Write the results in the order of the requests, and add up what they used."""
    totals: Counter[str] = Counter()
    results = {result.custom_id: result for result in client.messages.batches.results(batch_id)}
    with path.open() as requests, results_path.open("w") as file:
        for line in requests:
            result = results[json.loads(line)["custom_id"]]
            _account(result, totals)
            file.write(result.to_json(indent=None) + "\n")
    return dict(totals)


def _account(result: MessageBatchIndividualResponse, totals: Counter[str]) -> None:
    totals[result.result.type] += 1
    if result.result.type == "succeeded":
        totals["input_tokens"] += result.result.message.usage.input_tokens
        totals["output_tokens"] += result.result.message.usage.output_tokens


def main(name: str, base_url: str, *arguments: str) -> None:
    client = Anthropic(base_url=base_url, api_key=API_KEY)
    steps: dict[str, Callable[..., dict[str, float]]] = {
        "send": lambda path: send(client, Path(path)),
        "collect": lambda batch_id: collect(client, batch_id),
        "collect_in_order": lambda batch_id, path, results: collect_in_order(
            client, batch_id, Path(path), Path(results)
        ),
    }
    print_measured(lambda: steps[name](*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
