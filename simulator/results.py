"""The results of a batch: JSONL, in a shuffled order that is the same in each run (Claude API: Message Batches)."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import UNSET, Struct

from simulator.batches import Batch, Ending, Outcomes, RequestCounts
from simulator.errors import CAUSES, MESSAGE_OF_TYPE, ApiError, ErrorObject, ErrorResponse
from simulator.faults import Result, result_of_request
from simulator.identifiers import identifier
from simulator.intake import BatchRequest, read_block
from simulator.messages import Message
from simulator.params import MessageParams, read_message
from simulator.prompt import full_text
from simulator.prompt_cache import PromptCache
from simulator.replies import PLAIN, Reply, compose, reply_to
from simulator.rules import Subject


class Succeeded(Struct, tag_field="type", tag="succeeded"):
    """An answer."""

    message: Message


class Errored(Struct, tag_field="type", tag="errored"):
    """An error; the inner one says which."""

    error: ErrorResponse


class Canceled(Struct, tag_field="type", tag="canceled"):
    """Not run, since the batch was canceled."""


class Expired(Struct, tag_field="type", tag="expired"):
    """Not run within 24 hours."""


class ResultLine(Struct):
    """One line of the results."""

    custom_id: str
    result: Succeeded | Errored | Canceled | Expired


@dataclass(slots=True)
class _Tally:
    counts: RequestCounts
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, line: ResultLine) -> None:
        counts, result = self.counts, line.result
        if isinstance(result, Succeeded):
            counts.succeeded += 1
            self.input_tokens += result.message.usage.input_tokens
            self.output_tokens += result.message.usage.output_tokens
        elif isinstance(result, Errored):
            counts.errored += 1
        elif isinstance(result, Canceled):
            counts.canceled += 1
        else:
            counts.expired += 1


def write_results(batch: Batch, cache: PromptCache) -> Outcomes:
    """Run the batch: write the file of its results, and return what it came to."""
    finished, ending = batch.ending()
    tally = _Tally(RequestCounts())
    encode = msgspec.json.Encoder().encode_lines
    position = 0
    partial = batch.results_path.with_suffix(".partial")
    with partial.open("wb") as results:
        for requests in _shuffled_blocks(batch.body_path, batch):
            lines = []
            for request in requests:
                line = _run(request, batch, cache) if position < finished else _not_run(request, ending)
                tally.add(line)
                lines.append(line)
                position += 1
            results.write(encode(lines))
    partial.replace(batch.results_path)
    return Outcomes(tally.counts, tally.input_tokens, tally.output_tokens)


def _shuffled_blocks(body: Path, batch: Batch) -> Iterator[list[BatchRequest]]:
    shuffler = random.Random(batch.number)  # noqa: S311 - the order shall be the same in each run, nothing is secret
    blocks = list(batch.blocks)
    shuffler.shuffle(blocks)
    with body.open("rb") as source:
        for block in blocks:
            source.seek(block.start)
            requests = read_block(source.read(block.stop - block.start))
            shuffler.shuffle(requests)
            yield requests


def _not_run(request: BatchRequest, ending: Ending) -> ResultLine:
    return ResultLine(request.custom_id, Canceled() if ending == "canceled" else Expired())


def _run(request: BatchRequest, batch: Batch, cache: PromptCache) -> ResultLine:
    try:
        params = read_message(request.params, batch.version, batched=True)
    except ApiError as error:
        return _errored(request, batch, error.error_type, error.message)
    reply, fault = _script(request, params, batch)
    if fault is None or fault.outcome in ("max_tokens", "refusal"):
        if fault is not None:
            params, reply = _cut_short(params, reply, fault)
        message_id = identifier("msg", batch.id, request.custom_id)
        message = compose(params, reply, cache, message_id=message_id, tier="batch")
        return ResultLine(request.custom_id, Succeeded(message))
    if fault.outcome == "errored":
        if fault.cause is not None:
            cause = CAUSES[fault.cause]
            return _errored(request, batch, cause.error_type, cause.message, cause.details)
        message_of_type = MESSAGE_OF_TYPE.get(fault.error_type, "")
        return _errored(request, batch, fault.error_type, fault.message or message_of_type, fault.details)
    return _not_run(request, "canceled" if fault.outcome == "canceled" else "expired")


def _script(request: BatchRequest, params: MessageParams, batch: Batch) -> tuple[Reply, Result | None]:
    if not batch.faults and not batch.replies:
        return PLAIN, None
    text = full_text(params.system, params.messages)
    subject = Subject(model=params.model, prompt=text, custom_id=request.custom_id)
    turns = msgspec.json.encode(params.messages)
    identity = int.from_bytes(hashlib.blake2b(turns, digest_size=8).digest())
    return reply_to(batch.replies, subject), result_of_request(batch.faults, subject, identity, batch.number)


def _cut_short(params: MessageParams, reply: Reply, fault: Result) -> tuple[MessageParams, Reply]:
    """An answer that reached the limit of its request, or that was refused."""
    if fault.outcome == "refusal":
        return params, msgspec.structs.replace(reply, text="I cannot help with that.", stop_reason="refusal")
    long_text = " ".join(["and so on"] * params.max_tokens)
    return params, msgspec.structs.replace(reply, text=long_text)


def _errored(
    request: BatchRequest, batch: Batch, error_type: str, message: str, details: dict[str, str] | None = None
) -> ResultLine:
    request_id = identifier("req", batch.id, request.custom_id)
    return ResultLine(
        request.custom_id, Errored(ErrorResponse(ErrorObject(error_type, message, details or UNSET), request_id))
    )
