"""The batches that were made, where their bodies and results lie, and the worker that runs the large ones."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from simulator.batches import Batch, Outcomes, RequestCounts
from simulator.clock import Clock
from simulator.errors import ApiError
from simulator.faults import Fault
from simulator.identifiers import identifier
from simulator.intake import Intake
from simulator.prompt_cache import PromptCache
from simulator.replies import ReplyRule
from simulator.results import write_results
from simulator.rules import Entry

_SMALL_BATCH = 1_000


class BatchRecord(Struct):
    """A batch that was made, that is, paid for as far as it succeeded. Times are those of the simulator's clock."""

    id: str
    count: int
    size: int
    status: str
    request_counts: RequestCounts
    first_custom_id: str
    last_custom_id: str
    custom_ids_sha256: str
    created_at: float
    ended_at: float | None
    cancel_initiated_at: float | None
    deleted: bool
    downloads: int
    input_tokens: int
    output_tokens: int


class BatchStore:
    """All batches, oldest first.

    A batch runs when it is first looked at after its time: a small one at once, a large one in a thread.
    """

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._folder = folder
        self._batches: dict[str, Batch] = {}
        self._running: dict[str, Future[Outcomes]] = {}
        self._worker = ThreadPoolExecutor(1, "batch-runner")
        self._number = 0
        # Batches have a cache of their own: an ordinary call does not prime it.
        self._prompt_cache = PromptCache()

    def close(self) -> None:
        """Stop the worker."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def clear(self) -> None:
        """Forget all batches, and remove their files."""
        for batch in self._batches.values():
            self._running.pop(batch.id, None)
            batch.body_path.unlink(missing_ok=True)
            batch.results_path.unlink(missing_ok=True)
        self._batches.clear()
        self._prompt_cache.clear()

    def next_body_path(self) -> Path:
        """Where the next body that arrives shall be written."""
        self._number += 1
        return self._folder / f"batch-{self._number:06d}.requests.json"

    def create(
        self,
        body_path: Path,
        intake: Intake,
        version: str,
        seconds: float,
        faults: Iterable[Entry[Fault]],
        replies: Iterable[Entry[ReplyRule]],
    ) -> Batch:
        """A batch of the requests that `intake` found in the body; it takes `seconds`."""
        now, number = self._clock.now(), len(self._batches) + 1
        batch = Batch(
            id=identifier("msgbatch", body_path.name),
            number=number,
            count=len(intake.custom_ids),
            size=intake.size,
            first_custom_id=intake.custom_ids[0],
            last_custom_id=intake.custom_ids[-1],
            custom_ids_sha256=hashlib.sha256("\n".join(intake.custom_ids).encode()).hexdigest(),
            version=version,
            blocks=intake.blocks,
            faults=tuple(faults),
            replies=tuple(replies),
            body_path=body_path,
            results_path=body_path.with_suffix(".results.jsonl"),
            created_at=now,
            due_at=now + seconds,
        )
        self._batches[batch.id] = batch
        return batch

    def get(self, batch_id: str) -> Batch:
        """The batch as it stands now. Raises ApiError (404)."""
        batch = self._batches.get(batch_id)
        if batch is None or batch.deleted:
            raise ApiError(404, f"Message batch {batch_id} not found.")
        self._settle(batch)
        return batch

    def newest_first(self) -> list[Batch]:
        """All batches that are not deleted, as they stand now."""
        found = [batch for batch in reversed(self._batches.values()) if not batch.deleted]
        for batch in found:
            self._settle(batch)
        return found

    def delete(self, batch: Batch) -> None:
        """Forget the batch's results; the record of it stays."""
        batch.deleted = True
        batch.body_path.unlink(missing_ok=True)
        batch.results_path.unlink(missing_ok=True)

    def end(self, batch_id: str) -> Future[Outcomes] | None:
        """The batch's time has come; gives what is still to be waited for."""
        batch = self.get(batch_id)
        if batch.ended_at is None:
            batch.due_at = min(batch.due_at, self._clock.now())
            self._settle(batch)
        return self._running.get(batch.id)

    def settle(self, batch_id: str) -> None:
        """Note the end of a batch whose run has finished."""
        self._settle(self._batches[batch_id])

    def records(self) -> list[BatchRecord]:
        """What was made, deleted batches included, oldest first."""
        for batch in self._batches.values():
            if not batch.deleted:
                self._settle(batch)
        return [_record(batch) for batch in self._batches.values()]

    def _settle(self, batch: Batch) -> None:
        if batch.ended_at is not None or self._clock.now() < batch.ends_at:
            return
        if batch.count <= _SMALL_BATCH:
            _end(batch, write_results(batch, self._prompt_cache))
        elif batch.id not in self._running:
            self._running[batch.id] = self._worker.submit(write_results, batch, self._prompt_cache)
        elif self._running[batch.id].done():
            _end(batch, self._running.pop(batch.id).result())


def _end(batch: Batch, outcomes: Outcomes) -> None:
    batch.outcomes = outcomes
    batch.ended_at = batch.ends_at
    batch.body_path.unlink(missing_ok=True)


def _record(batch: Batch) -> BatchRecord:
    outcomes = batch.outcomes or Outcomes(RequestCounts(processing=batch.count), 0, 0)
    return BatchRecord(
        batch.id,
        batch.count,
        batch.size,
        batch.status(),
        outcomes.counts,
        batch.first_custom_id,
        batch.last_custom_id,
        batch.custom_ids_sha256,
        batch.created_at,
        batch.ended_at,
        batch.cancel_initiated_at,
        batch.deleted,
        batch.downloads,
        outcomes.input_tokens,
        outcomes.output_tokens,
    )
