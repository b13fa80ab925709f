"""Downloading the results of a batch: of which kind the result of each request is, and where its line lies on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sluice.claude.prices import PriceList
from sluice.errors import SluiceError
from sluice.jobs.collect.order import IdIndex, Locations, ResultSpool
from sluice.jobs.collect.retry_policy import ResultKind
from sluice.jobs.collect.usage import UsageMeter
from sluice.jobs.model import Shard
from sluice.jobs.results import (
    ForeignResults,
    check_custom_ids,
    read_blocks,
    read_raw_result_line,
    with_custom_id,
    write_errored_result,
)
from sluice.jobs.services import Services

# Lines held in memory at once while they are put in order.
_GROUP = 128
MISSING_RESULT = write_errored_result("missing", "The results of the batch did not hold this request.")
CANCELED_RESULT = b'{"type":"canceled"}'


@dataclass(slots=True)
class BatchResults:
    """``kinds`` has a byte for each request, a ResultKind, at its place in the shard.

    ``locations`` is None where there was no batch; ``default`` is the result of a request without a line. ``ids`` reads
    the shard's ``custom_id``s, in runs.
    """

    shard: Shard
    kinds: bytearray
    usage_meter: UsageMeter
    locations: Locations | None
    default: bytes
    ids: Callable[[], Iterator[bytes]]

    @property
    def missing(self) -> int:
        return self.kinds.count(ResultKind.MISSING)

    def result(self, place: int, custom_id: str) -> bytes:
        """Return the result of a request as it came. Raises ForeignResults where the line there is another one's."""
        line = self.locations.line(place) if self.locations else b""
        if not line:
            return self.default
        raw = read_raw_result_line(line)
        if raw.custom_id != (custom_id if place else self.shard.nonce):
            raise ForeignResults("The results name a request that is not of this shard.")
        return bytes(raw.result)

    def answers(self, decisions: bytes | bytearray, wanted: int) -> Iterator[tuple[list[int], list[bytes]]]:
        """Yield places and lines, in groups and in order, of the requests whose byte in ``decisions`` is ``wanted``."""
        if self.locations is None:
            return
        everything = bytes([wanted]) * _GROUP
        for first, ids in self._id_groups():
            group = decisions[first : first + len(ids)]
            if group == everything[: len(group)]:
                offsets: Sequence[int] = range(len(ids))
            elif not (offsets := [offset for offset, each in enumerate(group) if each == wanted]):
                continue
            lines = self.locations.lines(first + offset for offset in offsets)
            expected = [ids[offset] for offset in offsets]
            if marked := first + offsets[0] == 0:
                expected[0] = self.shard.nonce.encode()
            check_custom_ids(lines, expected)
            if marked:
                lines[0] = with_custom_id(lines[0], ids[0].decode()) + b"\n"
            yield [first + offset for offset in offsets], lines

    def _id_groups(self) -> Iterator[tuple[int, list[bytes]]]:
        first = 0
        for run in self.ids():
            ids = run.split()
            for start in range(0, len(ids), _GROUP):
                yield first, ids[start : start + _GROUP]
                first += len(ids[start : start + _GROUP])


def download_results(services: Services, shard: Shard, prices: PriceList, spool: ResultSpool) -> BatchResults:
    """Download the results of a shard's batch, to disk. Raises ClaudeError, ForeignResults, AwsError and OSError."""
    index = IdIndex(shard.count)
    ids = _ids_reader(services, shard)
    _fill(index, shard, ids())
    usage_meter, kinds = UsageMeter(prices), bytearray([ResultKind.SUCCEEDED]) * shard.count
    with services.claude.results(shard.batch_id or "") as chunks:
        for block in read_blocks(chunks):
            places = index.find([line.custom_id for line in block.lines])
            spool.add(block.data, block.ends, places)
            usage_meter.add(block.lines, places, kinds)
    del index
    locations = spool.locate()
    if spool.arrived != shard.count:
        for place in locations.missing:
            kinds[place] = ResultKind.MISSING
    return BatchResults(shard, kinds, usage_meter, locations, MISSING_RESULT, ids)


def uniform_results(
    services: Services, shard: Shard, prices: PriceList, kind: ResultKind, result: bytes
) -> BatchResults:
    """Give each request of a shard that was never sent the same result."""
    kinds = bytearray([kind]) * shard.count
    return BatchResults(shard, kinds, UsageMeter(prices), None, result, _ids_reader(services, shard))


def _ids_reader(services: Services, shard: Shard) -> Callable[[], Iterator[bytes]]:
    return lambda: services.outbox.ids(shard)


def _fill(index: IdIndex, shard: Shard, runs: Iterator[bytes]) -> None:
    """Put the ids of a shard into the index, with the nonce in place of the first one."""
    place = 0
    for run in runs:
        ids = run.decode().split()
        if place == 0:
            ids[0] = shard.nonce
        index.add(ids, place)
        place += len(ids)
    if place != shard.count:
        raise SluiceError(f"{shard.ids_key} has {place} ids; the shard has {shard.count} requests.")
