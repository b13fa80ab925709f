"""The endpoints of message batches."""

from pathlib import Path

import msgspec
from msgspec import Struct

from simulator.answers import Answer, FileBody
from simulator.batches import Batch, BatchPage, cancel, check_deletable
from simulator.connection import Call, ClientLeft
from simulator.errors import ApiError
from simulator.faults import BatchTime, CallFaults, Hide, result_entries
from simulator.intake import Intake
from simulator.paging import read_page_request, select_page
from simulator.state import State


class DeletedBatch(Struct, tag_field="type", tag="message_batch_deleted"):
    """The answer of delete."""

    id: str


async def create_batch(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """POST /v1/messages/batches. The body is written to disk and checked while it arrives."""
    del body
    path = state.store.next_body_path()
    try:
        intake = await _take_body(call, path)
    except (ApiError, ClientLeft):
        path.unlink(missing_ok=True)
        raise
    batch_time = faults.get(BatchTime)
    seconds = state.settings.batch_seconds if batch_time is None else batch_time.seconds
    fault_entries = result_entries(state.faults)
    batch = state.store.create(path, intake, call.version, seconds, fault_entries, state.replies.entries)
    call.record.batch_id = batch.id
    return _show(state, call, batch)


async def _take_body(call: Call, path: Path) -> Intake:
    intake, problem = Intake(), None
    with path.open("wb", buffering=0) as spool:
        async for chunk in call.body_chunks():
            if problem is not None:
                continue
            spool.write(chunk)
            try:
                intake.feed(chunk)
            except ApiError as error:
                problem = error
    if problem is not None:
        raise problem
    intake.finish()
    return intake


async def retrieve_batch(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """GET /v1/messages/batches/{id}."""
    del body
    return _show(state, call, _find(state, call, faults))


async def list_batches(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """GET /v1/messages/batches."""
    del body
    now = state.clock.now()
    batches = [batch for batch in state.store.newest_first() if not batch.is_hidden(faults.get(Hide), now)]
    selected, has_more = select_page([batch.id for batch in batches], read_page_request(call.query))
    views = [batch.view(now, call.base_url) for batch in batches[selected]]
    first, last = (views[0].id, views[-1].id) if views else (None, None)
    return Answer(200, msgspec.json.encode(BatchPage(views, has_more, first, last)))


async def cancel_batch(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """POST /v1/messages/batches/{id}/cancel."""
    del body
    batch = _find(state, call, faults)
    cancel(batch, state.clock.now(), state.settings.cancel_seconds)
    return _show(state, call, batch)


async def delete_batch(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """DELETE /v1/messages/batches/{id}."""
    del body
    batch = _find(state, call, faults)
    check_deletable(batch)
    state.store.delete(batch)
    return Answer(200, msgspec.json.encode(DeletedBatch(batch.id)))


async def download_results(state: State, call: Call, body: bytes, faults: CallFaults) -> Answer:
    """GET /v1/messages/batches/{id}/results."""
    del body
    batch = _find(state, call, faults)
    if batch.ended_at is None:
        raise ApiError(404, f"Batch {batch.id} has no results yet: it is still processing.")
    if state.clock.now() >= batch.archives_at:
        raise ApiError(404, f"The results of batch {batch.id} are no longer available: they are kept for 29 days.")
    batch.downloads += 1
    return Answer(200, FileBody(batch.results_path))


def _find(state: State, call: Call, faults: CallFaults) -> Batch:
    batch_id = call.path.split("/")[4]
    batch = state.store.get(batch_id)
    call.record.batch_id = batch.id
    if batch.is_hidden(faults.get(Hide), state.clock.now()):
        raise ApiError(404, f"Message batch {batch_id} not found.")
    return batch


def _show(state: State, call: Call, batch: Batch) -> Answer:
    return Answer(200, msgspec.json.encode(batch.view(state.clock.now(), call.base_url)))
