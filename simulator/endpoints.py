"""The endpoints of messages and models."""

import msgspec
from msgspec import Struct

from simulator.answers import Answer, EventBody
from simulator.connection import Call
from simulator.errors import ApiError
from simulator.faults import CallFaults
from simulator.identifiers import identifier
from simulator.models import CATALOGUE, describe, encode_page, find_model
from simulator.paging import read_page_request, select_page
from simulator.params import read_message, read_tokens
from simulator.prompt import input_tokens
from simulator.replies import PLAIN, compose, reply_to
from simulator.state import State
from simulator.stream import events
from simulator.subjects import subject_of_call

MAX_MESSAGE_BYTES = 32 * 1024 * 1024


class TokenCount(Struct):
    """The answer of count_tokens."""

    input_tokens: int


async def create_message(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """POST /v1/messages."""
    del faults
    params = read_message(body, call.version)
    call.record.model, call.record.stream = params.model, params.stream
    reply = reply_to(state.replies.entries, subject_of_call(call, body)) if state.replies.entries else PLAIN
    message = compose(params, reply, state.prompt_cache, message_id=identifier("msg", call.record.request_id))
    call.record.usage = message.usage
    if not params.stream:
        return Answer(200, msgspec.json.encode(message))
    rate = reply.events_per_second if reply.events_per_second is not None else state.settings.events_per_second
    event_seconds = 1 / rate if rate else 0.0
    headers = {"cache-control": "no-cache"}
    return Answer(200, EventBody(events(message, reply), event_seconds, reply.first_event_seconds), headers)


async def count_tokens(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """POST /v1/messages/count_tokens."""
    del state, faults
    params = read_tokens(body)
    call.record.model = params.model
    return Answer(200, msgspec.json.encode(TokenCount(input_tokens(params))))


async def list_models(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """GET /v1/models."""
    del state, body, faults
    ids = [model.id for model in CATALOGUE]
    selected, has_more = select_page(ids, read_page_request(call.query))
    return Answer(200, encode_page(list(CATALOGUE[selected]), has_more))


async def retrieve_model(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """GET /v1/models/{model_id}."""
    del state, body, faults
    name = call.path.rpartition("/")[2]
    model = find_model(name)
    if model is None:
        raise ApiError(404, f"model: {name}")
    return Answer(200, msgspec.json.encode(describe(model)))
