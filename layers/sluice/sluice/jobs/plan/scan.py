"""One streaming pass over a file: lines are checked and cut into shards, and what was found is left in the Outbox.

Memory does not grow with the file, but for the hash of each id. A pass that has to stop closes its shard where it
stands; the shard is then smaller than it might be, and nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

from sluice.aws.s3 import Writer
from sluice.jobs.formats.base import InputFile
from sluice.jobs.formats.check import Asked, BadLine, GoodLine, LineRules, Run, check_lines
from sluice.jobs.formats.request_line import LineProblem
from sluice.jobs.lines import whole_lines
from sluice.jobs.model import Shard, ShardRef, Upload, work_key
from sluice.jobs.outbox import Outbox
from sluice.jobs.plan.checkpoint import Checkpoint
from sluice.jobs.plan.shard_writer import (
    LineCopy,
    LineRun,
    ShardLimits,
    ShardLines,
    ShardWriter,
    UploadRange,
    fitting_lines,
)
from sluice.jobs.plan.unique_ids import FirstUses, SeenHashes, repeated_ids
from sluice.jobs.rejected import encode_rejected


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """Where a pass leaves its objects. ``attempt`` is its own, so that two passes never write the same object."""

    outbox: Outbox
    job_id: str
    attempt: str

    def key(self, *names: str) -> str:
        return work_key(self.job_id, f"plan-{self.attempt}", *names)

    def read_ids(self, shards: tuple[Shard, ...]) -> Iterator[list[str]]:
        """Yield the ids of shards, a run of them at a time."""
        for shard in shards:
            for run in whole_lines(self.outbox.stream(shard.ids_key)):
                yield run.decode().splitlines()


class FileScan:
    """A pass over a file from a checkpoint on. Use it in a ``with`` block: what it has open is dropped at its end."""

    def __init__(
        self,
        place: PlanFiles,
        upload: Upload,
        source: InputFile,
        rules: LineRules,
        limits: ShardLimits,
        betas: str | None,
        start: Checkpoint,
    ) -> None:
        self._place = place
        self._upload = upload
        self._input = source
        self._rules = rules
        self._limits = limits
        self._betas = betas
        self._start = start
        self._position = start.position
        # A copy, so that the pass can be made again from the same checkpoint.
        self._counts = deepcopy(start.counts)
        self._shards = list(start.shards)
        self._hashes = SeenHashes()
        self._first_uses = FirstUses(start.repeated, start.used)
        self._writer: ShardWriter | None = None
        self._rejected: Writer | None = None

    def __enter__(self) -> FileScan:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.abandon()
        if self._rejected is not None:
            self._rejected.abort()

    def run(self, may_go_on: Callable[[], bool]) -> bool:
        """Read on; False where it was stopped before the end of the file. At least one batch of lines is read."""
        for ids in self._place.read_ids(self._start.shards):
            self._hashes.add(ids)
        for batch in self._input.batches(self._start.position):
            for item in batch.items:
                self._take(item)
            self._position = batch.position
            if not may_go_on():
                return False
        return True

    def finish(self, done: bool) -> Checkpoint:
        """Close what is open, and say how far the file was read; ``done`` is what ``run`` said.

        Where all of it was read and ids are there more than once, the checkpoint is one at the start of the file that
        knows them, in ``repeated``.
        """
        self._close_shard()
        end = self._checkpoint()
        if done and (repeated := self._repeated_ids()):
            known = tuple(sorted(repeated.union(self._start.repeated)))
            return Checkpoint(self._start.settings_key, repeated=known)
        return end

    def _checkpoint(self) -> Checkpoint:
        rejected_keys = self._start.rejected_keys
        if self._rejected is not None:
            self._rejected.finish()
            self._rejected = None
            rejected_keys = (*rejected_keys, self._place.key("rejected.jsonl"))
        return replace(
            self._start,
            position=self._position,
            shards=tuple(self._shards),
            rejected_keys=rejected_keys,
            counts=self._counts,
            notes=tuple(dict.fromkeys((*self._start.notes, *self._input.notes))),
            used=tuple(self._first_uses.used),
        )

    def _repeated_ids(self) -> set[str]:
        hashes = self._hashes.repeated()
        return repeated_ids(self._place.read_ids(tuple(self._shards)), hashes) if hashes else set()

    def _take(self, item: Run | GoodLine | BadLine) -> None:
        match item:
            case Run() if self._first_uses.concerns(item.ids):
                for line in check_lines(item.block, self._rules):
                    self._take(line)
            case Run():
                self._counts.accept(item.asked, len(item.block.data), self._limits.retry_max_tokens, item.appraisal)
                self._take_run(item)
            case GoodLine() if self._first_uses.take(item.custom_id):
                asked = Asked(1, item.max_tokens, item.max_tokens, item.max_tokens)
                self._counts.accept(
                    {item.model: asked}, len(item.text) + 1, self._limits.retry_max_tokens, item.appraisal
                )
                self._take_line(item)
            case GoodLine():
                problem = LineProblem("repeated", f'An earlier line has the "custom_id" "{item.custom_id}".')
                self._reject(BadLine(item.number, item.offset, item.length, item.text, problem))
            case BadLine():
                self._reject(item)

    def _take_run(self, run: Run) -> None:
        self._hashes.add(run.ids)
        offset, data, ids = run.block.offset, run.block.data, run.ids
        each = _average_tokens(run, self._limits.retry_max_tokens)
        while data:
            shard_writer = self._open_writer()
            count, length = fitting_lines(data, len(ids), *shard_writer.room(each))
            if count < len(ids):
                # Of a part of a run it is not known whose tokens are in it.
                each = max(of_model.highest for of_model in run.asked.values())
                count, length = fitting_lines(data, len(ids), *shard_writer.room(each))
            if count:
                piece = LineRun(offset, length - 1, data[:length])
                shard_writer.take(piece, ids[:count], each, older=_needs_older(run))
                offset, data, ids = offset + length, data[length:], ids[count:]
            if data:
                self._close_shard()

    def _take_line(self, line: GoodLine) -> None:
        self._hashes.add((line.custom_id,))
        requests, length = self._open_writer().room(line.max_tokens)
        if requests < 1 or length <= len(line.text):
            self._close_shard()
        piece = LineRun(line.offset, line.length, line.text + b"\n", line.edit)
        self._open_writer().take(piece, (line.custom_id,), line.max_tokens, older=_needs_older(line))

    def _reject(self, line: BadLine) -> None:
        if self._rejected is None:
            self._rejected = self._place.outbox.begin(self._place.key("rejected.jsonl"))
        self._rejected.write(encode_rejected(line))
        self._counts.reject(line)

    def _open_writer(self) -> ShardWriter:
        if self._writer is None:
            number = len(self._shards)
            ref = ShardRef(self._place.job_id, number, 0)
            bucket = self._upload.bucket
            self._writer = ShardWriter(
                ref, bucket, self._limits, self._lines_of(number), self._betas, self._rules.version
            )
        return self._writer

    def _lines_of(self, number: int) -> ShardLines:
        place = self._place
        if self._input.in_place:
            key = place.key("edits", f"{number:05d}.jsonl")
            return UploadRange(place.outbox, key, self._upload)
        return LineCopy(place.outbox, place.key("lines", f"{number:05d}.jsonl"))

    def _close_shard(self) -> None:
        if self._writer is None:
            return
        key = self._place.key("ids", f"{self._writer.ref.shard:05d}")
        self._place.outbox.put(key, bytes(self._writer.ids), "text/plain")
        self._shards.append(self._writer.close(key))
        self._writer = None


def _needs_older(taken: Run | GoodLine) -> bool:
    return taken.appraisal is not None and taken.appraisal.older


def _average_tokens(run: Run, retry_max_tokens: int) -> int:
    """Return what the answers of a run may have in the end, on the average, or a little more than that."""
    asked = run.asked.values()
    average = -(-sum(of_model.max_tokens for of_model in asked) // len(run.ids))
    return average + (retry_max_tokens if min(of_model.lowest for of_model in asked) < retry_max_tokens else 0)
