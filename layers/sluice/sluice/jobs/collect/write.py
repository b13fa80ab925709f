"""Writing what a wave came to: apart while another wave follows, merged into the shard's parts after the last one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sluice.errors import SluiceError
from sluice.jobs.collect.decide import Decisions, Example
from sluice.jobs.collect.download import BatchResults
from sluice.jobs.collect.retry_policy import Decision
from sluice.jobs.collect.usage import LengthHistograms
from sluice.jobs.lines import Placed, merge_waves
from sluice.jobs.model import Shard, ShardRef
from sluice.jobs.outbox import ERRORS, KEPT, RESULTS, ROWS, part_key
from sluice.jobs.rows import ANSWERED, ERRORED, ShardRows
from sluice.jobs.services import Services


class WaveStats(msgspec.Struct):
    """What the report wants to know of a wave, beside its outcome; ``examples`` by the type of error."""

    lengths: LengthHistograms
    examples: dict[str, list[Example]]


def write(services: Services, results: BatchResults, decisions: Decisions, ordinals: Sequence[int]) -> None:
    """Write the answers and errors of a wave, and its figures. ``ordinals`` are as in ``decide``.

    Raises AwsError, ForeignResults, and SluiceError where the parts do not hold as many lines as the waves counted.
    """
    if decisions.next_wave:
        _write_wave(services, results, decisions, ordinals)
    else:
        _write_parts(services, results, decisions, ordinals)
    examples = {name: list(said.values()) for name, said in decisions.examples.items()}
    stats = WaveStats(results.usage_meter.lengths, examples)
    services.outbox.put_stats(results.shard.ref, msgspec.json.encode(stats))


def _write_wave(services: Services, results: BatchResults, decisions: Decisions, ordinals: Sequence[int]) -> None:
    """Write what is final in a wave that another one follows, and the answers that are kept while asked for again."""
    ref, outbox = results.shard.ref, services.outbox
    outbox.write_placed_lines(ref, RESULTS, _placed(results, decisions, ordinals, Decision.ANSWER))
    outbox.write_placed_lines(ref, ERRORS, decisions.error_lines.read())
    outbox.write_placed_lines(ref, KEPT, _placed(results, decisions, ordinals, Decision.RETRY_LONGER))


def _placed(results: BatchResults, decisions: Decisions, ordinals: Sequence[int], wanted: Decision) -> Iterator[Placed]:
    """Yield the lines of all requests with one decision, with their ordinals."""
    for places, lines in results.answers(decisions.by_place, wanted):
        yield from zip((ordinals[place] for place in places), lines, strict=True)


def _write_parts(services: Services, results: BatchResults, decisions: Decisions, ordinals: Sequence[int]) -> None:
    """Write the results and the errors of a shard after its last wave."""
    ref = results.shard.ref
    earlier = _earlier_shards(services, ref)
    outcomes = [shard.outcome for shard in earlier if shard.outcome]
    rows = ShardRows.empty((earlier[0] if earlier else results.shard).count)
    if ref.wave == 0:
        answered = _write_answers(services, results, decisions, rows)
    else:
        answers = _placed(results, decisions, ordinals, Decision.ANSWER)
        answered = _write_merged(services, ref, (KEPT, RESULTS), RESULTS, answers, rows)
    errored = _write_merged(services, ref, (ERRORS,), ERRORS, decisions.error_lines.read(), rows)
    expected = decisions.succeeded + sum(each.succeeded for each in outcomes)
    expected_errors = decisions.errored + sum(each.errored for each in outcomes)
    if (answered, errored) != (expected, expected_errors):
        raise SluiceError(
            f"Shard {ref.shard} of {ref.job_id} has {answered} answers and {errored} errors in its waves; "
            f"they counted {expected} and {expected_errors}."
        )
    services.outbox.put(part_key(ref, ROWS), rows.encode())


def _earlier_shards(services: Services, ref: ShardRef) -> list[Shard]:
    refs = (ShardRef(ref.job_id, ref.shard, wave) for wave in range(ref.wave))
    return [shard for each in refs if (shard := services.shards.find(each))]


def _write_answers(services: Services, results: BatchResults, decisions: Decisions, rows: ShardRows) -> int:
    """Write the answers of a shard that was done in one wave: nothing has to be merged."""
    count = 0
    with services.outbox.part_writer(results.shard.ref, RESULTS) as writer:
        for places, lines in results.answers(decisions.by_place, Decision.ANSWER):
            writer.write(b"".join(lines))
            rows.note(ANSWERED, zip(places, map(len, lines), strict=True))
            count += len(places)
    return count


def _write_merged(
    services: Services, ref: ShardRef, names: Iterable[str], part: str, own: Iterable[Placed], rows: ShardRows
) -> int:
    count = 0
    waves = [
        services.outbox.read_placed_lines(ShardRef(ref.job_id, ref.shard, wave), name)
        for name in names
        for wave in range(ref.wave)
    ]
    with services.outbox.part_writer(ref, part) as writer:
        for place, line in merge_waves([*waves, own]):
            writer.write(line)
            rows.note(ANSWERED if part == RESULTS else ERRORED, ((place, len(line)),))
            count += 1
    return count
