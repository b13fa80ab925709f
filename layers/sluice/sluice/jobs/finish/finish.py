"""Finishing a job: its parts joined, its totals checked, the outcome written down and told.

Everything is written under keys that follow from the job, and may be written again; then one conditional write moves
the job, and its notice is due from that write on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import msgspec

from sluice.aws.sqs_batch import StepResult
from sluice.errors import ConditionFailed
from sluice.jobs.callbacks import send_callback
from sluice.jobs.collect.write import WaveStats
from sluice.jobs.finish.report import write_report
from sluice.jobs.finish.results_csv import write_result_table
from sluice.jobs.finish.row_directory import write_row_directory
from sluice.jobs.finish.summary import JobSummary, add_up, write_summary
from sluice.jobs.finish.totals import Totals, check_totals, with_misfits, with_sentences
from sluice.jobs.job_settings import read_settings
from sluice.jobs.model import Job, JobStatus, Plan, Shard
from sluice.jobs.notices.announce import announce, announce_overdue
from sluice.jobs.notices.machine import Place
from sluice.jobs.notices.text import status_notice
from sluice.jobs.outbox import ERRORS, JSON, REJECTED, RESULTS, Manifest, part_key
from sluice.jobs.rejected import decode_rejected, different_rejections
from sluice.jobs.results import CANCELED
from sluice.jobs.services import Services
from sluice.settings import DEFAULT_MAX_TOKENS

_STATS = msgspec.json.Decoder(WaveStats)
_PARALLEL = 8
# So many rejected lines are looked through for reasons that differ.
_READ_REJECTIONS = 2_000
_LOST_TABLE = "There is no results.csv: the dropped file, whose columns it repeats, was deleted in the meantime."


def finish(services: Services, message: Mapping[str, object]) -> StepResult:
    """Do what the message of a job asks for, as far as it still has to be done.

    Raises SluiceError where the message should be delivered again.
    """
    job = services.jobs.find(str(message["job_id"]))
    if job is None:
        return StepResult("unknown_job")
    if job.status.final:
        announce_overdue(services, job)
        return _result("done_before", job.status, _known_problems(job))
    if job.status is not JobStatus.RUNNING or job.open_shards or job.plan is None:
        return _result("not_due", job.status)
    account = _write_outputs(services, job, job.plan)
    try:
        status, tally = account.status, account.totals.tally
        job = services.jobs.finish(job.job_id, status, tally, status_notice(status), account.finished_at)
    except ConditionFailed:
        return StepResult("done_elsewhere")
    send_callback(services.sqs, services.settings.callback_queue_url, job)
    announce(services, job, status_notice(status))
    return _result("finished", status, account.totals.problems)


def _result(outcome: str, status: JobStatus, problems: tuple[str, ...] = ()) -> StepResult:
    return StepResult(outcome, {"status": status}, {"TotalsMismatch": 1} if problems else {}, problems)


def _known_problems(job: Job) -> tuple[str, ...]:
    """Return again that the counts did not add up: the run that found it may have died before it could report it."""
    balanced = job.tally is None or job.tally.balanced
    return () if balanced else ("The counts did not add up when the job ended; summary.json says how.",)


def _write_outputs(services: Services, job: Job, plan: Plan) -> JobSummary:
    """Write all the files of a job but the work files; the summary is the last one."""
    outbox = services.outbox
    manifest = outbox.read_manifest(plan.manifest_key)
    shards = list(services.shards.of_job(job.job_id))
    last = _last_waves(shards)
    names = {
        RESULTS: [part_key(shard.ref, RESULTS) for shard in last],
        ERRORS: [part_key(shard.ref, ERRORS) for shard in last],
        REJECTED: list(manifest.rejected_keys),
    }
    outbox.join_files(job.job_id, names)
    effective = read_settings(outbox, job)
    place = Place(outbox.bucket)
    files = {name: place.uri(job.job_id, f"{name}.jsonl") for name in names}
    totals = _with_rejections(services, check_totals(plan, shards), manifest)
    table = write_result_table(services, job, effective, [shard for shard in shards if shard.ref.wave == 0])
    if table is None:
        totals = replace(totals, tally=replace(totals.tally, lost_table=_LOST_TABLE))
    else:
        files |= {name.rpartition(".")[2]: place.uri(job.job_id, name) for name in table.files}
        totals = replace(totals, tally=with_misfits(replace(totals.tally, tables=table.files), table.misfits))
    max_tokens = effective.folder.max_tokens or DEFAULT_MAX_TOKENS
    write_row_directory(services, job, last, table.cells if table else None, max_tokens)
    account = _account(services, job, totals, manifest, effective.prices.date, shards, files)
    report, summary = write_report(account), write_summary(account)
    outbox.put_file(job.job_id, "report.html", report, "text/html; charset=utf-8")
    outbox.put_file(job.job_id, "summary.json", summary, JSON)
    return account


def _with_rejections(services: Services, totals: Totals, manifest: Manifest) -> Totals:
    """Add why lines were rejected."""
    if not manifest.rejected_keys:
        return totals
    lines = services.outbox.lines(manifest.rejected_keys[0])
    first, *others = different_rejections(map(decode_rejected, islice(lines, _READ_REJECTIONS)))
    tally = replace(totals.tally, reasons=dict(manifest.reasons), first_rejection=first, other_rejections=others)
    return replace(totals, tally=tally)


def _account(
    services: Services,
    job: Job,
    totals: Totals,
    manifest: Manifest,
    prices_date: str,
    shards: Sequence[Shard],
    files: Mapping[str, str],
) -> JobSummary:
    lengths, examples = add_up(_read_stats(services, shards))
    totals = replace(totals, tally=with_sentences(totals.tally, examples))
    place = Place(services.outbox.bucket)
    own = {"summary": place.uri(job.job_id, "summary.json"), "report": place.uri(job.job_id, "report.html")}
    return JobSummary(
        job=job,
        status=_final_status(job, totals),
        finished_at=services.now(),
        totals=totals,
        manifest=manifest,
        prices_date=prices_date,
        batch_ids=tuple(shard.batch_id for shard in shards if shard.batch_id),
        collected_at=max((shard.moved_at for shard in shards), default=None),
        lengths=lengths,
        examples=examples,
        files={**files, **own},
    )


def _final_status(job: Job, totals: Totals) -> JobStatus:
    """Return how a job ends. One that was cancelled too late for any request has finished like any other."""
    if job.cancel_requested and totals.tally.errors.get(CANCELED):
        return JobStatus.CANCELLED
    tally = totals.tally
    clean = not (tally.errored or tally.rejected or tally.incomplete or totals.problems)
    return JobStatus.FINISHED if clean else JobStatus.FINISHED_WITH_ERRORS


def _last_waves(shards: Iterable[Shard]) -> list[Shard]:
    """Keep of each shard its last wave; the waves of each come in order."""
    last: dict[int, Shard] = {shard.ref.shard: shard for shard in shards}
    return [last[number] for number in sorted(last)]


def _read_stats(services: Services, shards: Sequence[Shard]) -> Iterator[WaveStats]:
    outbox = services.outbox
    with ThreadPoolExecutor(_PARALLEL) as pool:
        yield from pool.map(lambda shard: _STATS.decode(outbox.get_stats(shard.ref)), shards)
