"""The file that all contenders get."""

from __future__ import annotations

import json
import random
from pathlib import Path

from bench.aws.account import MODEL

_WORDS_A_PROMPT = 138
_PROMPTS = 997


def write_requests(path: Path, count: int) -> int:
    """Write requests of about 1.1 kB each, the same ones each time; return the bytes."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrst", k=chance.randint(2, 10))) for _ in range(500)]
    prompts = [" ".join(chance.choices(words, k=_WORDS_A_PROMPT)) for _ in range(_PROMPTS)]
    params = [
        json.dumps({"model": MODEL, "max_tokens": 256, "messages": [{"role": "user", "content": prompt}]})
        for prompt in prompts
    ]
    with path.open("w") as file:
        for number in range(count):
            file.write(f'{{"custom_id": "request-{number:07d}", "params": {params[number % _PROMPTS]}}}\n')
    return path.stat().st_size
