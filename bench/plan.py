"""Planning: lines checked and cut into shards, beside the loop that a user would write.

``python -m bench.plan [REQUESTS ...]`` prints seconds and peak memory, each measured in a process of its own.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench.local_s3 import local_objects
from sluice.claude.prices import shipped_prices
from sluice.jobs.folder import FolderSettings
from sluice.jobs.inputs.lines import LineRules
from sluice.jobs.inputs.request import Defaults
from sluice.jobs.inputs.upload import open_upload
from sluice.jobs.model import Upload
from sluice.jobs.pinned import lay_over
from sluice.jobs.planning.checkpoint import Checkpoint
from sluice.jobs.planning.sharder import ShardLimits
from sluice.jobs.planning.survey import Survey, Workplace
from sluice.jobs.settings import JobSettings

MODEL = "claude-haiku-5-5"
SIZES = (1_000, 100_000, 1_000_000)
_WORDS_A_PROMPT = 150


def write_requests(path: Path, count: int) -> None:
    """Write requests of about 1.1 kB each, the same ones each time."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrst", k=chance.randint(2, 10))) for _ in range(500)]
    with path.open("wb") as file:
        for number in range(count):
            prompt = " ".join(chance.choices(words, k=_WORDS_A_PROMPT))
            params = {"model": MODEL, "max_tokens": 256, "messages": [{"role": "user", "content": prompt}]}
            file.write(json.dumps({"custom_id": f"request-{number:07d}", "params": params}).encode() + b"\n")


def survey_requests(path: Path, folder: Path) -> Checkpoint:
    """Make the pass that ``plan_job`` makes over an upload."""
    objects = local_objects(folder)
    upload = Upload("inbox", path.name, None, "etag", path.stat().st_size)
    pinned = lay_over(JobSettings(table=""), FolderSettings(), None, shipped_prices())
    limits = ShardLimits(pinned.max_shard_requests, pinned.max_shard_bytes)
    rules = LineRules(Defaults(), limits.longest_line, lambda _model, _max_tokens: None)
    place = Workplace(objects, "outbox", upload.job_id, "bench")
    source = open_upload(objects, upload, pinned, rules)
    with Survey(place, upload, source, rules, limits, None, Checkpoint("settings")) as survey:
        return survey.finish(survey.run(lambda: True))


def load_requests(path: Path) -> int:
    """Do what the SDK's documentation does before it creates a batch: decode each line, keep them all."""
    with path.open("rb") as file:
        requests = [json.loads(line) for line in file]
    return len(json.dumps({"requests": requests}))


def _measure(step: str, path: Path) -> None:
    begun = time.perf_counter()
    if step == "sluice":
        survey_requests(path, path.parent.parent)
    elif step == "loop":
        load_requests(path)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": round(seconds, 3), "peak_mb": round(peak / 1024, 1)}))


def _in_its_own_process(step: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.plan", "--measure", step, str(path)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


def main(arguments: Iterable[str]) -> None:
    sizes = tuple(map(int, arguments)) or SIZES
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox"
        inbox.mkdir()
        for size in sizes:
            path = inbox / f"requests-{size}.jsonl"
            write_requests(path, size)
            steps = ("imports", "sluice", "loop") if size <= SIZES[1] else ("imports", "sluice")
            for step in steps:
                print(f"{size:>9,} requests  {step:8}", _in_its_own_process(step, path))
            path.unlink()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        _measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(sys.argv[1:])
