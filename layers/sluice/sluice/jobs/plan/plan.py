"""Planning: an upload is claimed, read once, cut into shards, judged, and set going.

Each step can be repeated: the claim is conditional, each pass writes objects of its own, and of all plans that come to
an end one is recorded. A pass that runs out of time leaves a checkpoint and a message for the next invocation.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sluice.claude.prices import at_least, shipped_prices
from sluice.claude.versions import OLDER_VERSION, SAMPLING
from sluice.deadline import Deadline
from sluice.errors import ConditionFailed, InputError, ObjectNotFound, UnreadableInput
from sluice.jobs.callbacks import send_callback
from sluice.jobs.control import activate, resume_job
from sluice.jobs.formats.appraise import Appraiser
from sluice.jobs.formats.check import LineRules
from sluice.jobs.formats.registry import DroppedFile, identify
from sluice.jobs.formats.request_line import Defaults
from sluice.jobs.job_settings import (
    EffectiveSettings,
    given_settings,
    read_settings_at,
    resolve_settings,
    write_settings,
)
from sluice.jobs.messages import QueueMessage, Step, send_later
from sluice.jobs.model import Hold, HoldKind, Job, JobStatus, Plan, Upload, work_key
from sluice.jobs.notices.announce import announce, announce_hold
from sluice.jobs.notices.text import status_notice
from sluice.jobs.outbox import JSON, Manifest
from sluice.jobs.plan.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from sluice.jobs.plan.estimate import Estimate, estimate_job
from sluice.jobs.plan.hold_rules import failure_of, hold_of, is_beyond, unbounded_note
from sluice.jobs.plan.key_terms import params_problem, within_terms
from sluice.jobs.plan.model_check import ModelCatalogue, ModelCheck
from sluice.jobs.plan.scan import FileScan, PlanFiles
from sluice.jobs.plan.shard_writer import ShardLimits
from sluice.jobs.plan.unique_ids import spare_name
from sluice.jobs.services import Services
from sluice.jobs.tickets import check_size, take_arrival
from sluice.jobs.wording import shorten

# What is left of an invocation when reading stops: time to close a shard, look for repeated ids and hand over.
_HAND_OVER_SECONDS = 60.0
_CORRECT = "Once the corrected settings are in the Inbox, the job goes on by itself."
_OLDER = (
    f"Requests with {', '.join(SAMPLING[:-1])} or {SAMPLING[-1]} are sent under the version {OLDER_VERSION} of the "
    "API, since the newer one refuses these."
)
# So many notes of planning are told in the notices of a job; summary.json has all.
_KEPT_NOTES = 10


def new_attempt() -> str:
    """Name a pass over a file."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Planner:
    """A file is read until ``deadline`` is near; ``attempt`` names a pass, as no other is named."""

    services: Services
    catalogue: ModelCatalogue
    deadline: Deadline
    attempt: Callable[[], str] = new_attempt

    def take_upload(self, upload: Upload) -> Job:
        """Take an upload on from where it stands, be it new or notified of again."""
        announced = take_arrival(self.services, upload)
        return self.advance(announced or self.services.jobs.claim(upload, self.services.now()))

    def take_job(self, job_id: str, checkpoint_key: str | None) -> Job | None:
        """Take a job on that is known already; None where it is not, or no more."""
        job = self.services.jobs.find(job_id)
        if job and checkpoint_key and job.holds and job.checkpoint_key is None:
            # It was read with settings that have been corrected since; the release has sent a message of its own.
            return job
        return self.advance(job, checkpoint_key) if job else None

    def advance(self, job: Job, checkpoint_key: str | None = None) -> Job:
        """Plan a received job, set a planned one going. Raises AwsError where that should be tried again."""
        if job.status is not JobStatus.RECEIVED:
            return activate(self.services, job)
        try:
            return self._plan(job, checkpoint_key)
        except UnreadableInput as error:
            return self._fail(job, shorten(str(error)))
        except InputError as error:
            return self._hold(job, error)
        except ConditionFailed:
            # Another pass over the same file came to its end first.
            return self.services.jobs.find(job.job_id) or job

    def _plan(self, job: Job, checkpoint_key: str | None) -> Job:
        # A file that nothing can read fails before anything of it is written.
        check_size(job)
        dropped = identify(self.services.s3, job.upload)
        start = self._resume(checkpoint_key) if checkpoint_key else None
        if start is None:
            resolved = self._resolve(job)
            if wait := self._wait_for_settings(job, dropped, resolved):
                self._put_off(job, wait)
                return job
            start = self._begin(job, resolved)
        effective = read_settings_at(self.services.outbox, start.settings_key)
        try:
            return self._read_all(job, dropped, effective, start)
        except UnreadableInput:
            raise
        except InputError as error:
            return self._hold(job, error, effective.digest)

    def _read_all(self, job: Job, dropped: DroppedFile, effective: EffectiveSettings, start: Checkpoint) -> Job:
        while True:
            end, done = self._read(job, dropped, effective, start)
            if not done:
                return self._hand_over(job, end)
            if end.repeated == start.repeated:
                return self._conclude(job, effective, end)
            start = end

    def _wait_for_settings(self, job: Job, dropped: DroppedFile, resolved: EffectiveSettings) -> float:
        """Return for how many seconds more the settings of a file may still arrive, as when a folder is dragged in."""
        if resolved.folder_key is not None or job.ticket or not dropped.kind.uses_settings:
            return 0.0
        return max(job.received_at + self.services.settings.settings_wait_seconds - self.services.now(), 0.0)

    def _put_off(self, job: Job, seconds: float) -> None:
        send_later(self.services, QueueMessage(Step.PLAN, {"job_id": job.job_id, "checkpoint": None}), seconds)

    def _begin(self, job: Job, resolved: EffectiveSettings) -> Checkpoint:
        return Checkpoint(write_settings(self.services.outbox, job.upload, resolved, self.attempt()))

    def _resume(self, checkpoint_key: str) -> Checkpoint | None:
        """Read how far a file was read; None where that was deleted, as the Outbox does with old work files."""
        try:
            return decode_checkpoint(self.services.outbox.get(checkpoint_key))
        except ObjectNotFound:
            return None

    def _read(
        self, job: Job, dropped: DroppedFile, effective: EffectiveSettings, start: Checkpoint
    ) -> tuple[Checkpoint, bool]:
        """Read on from a checkpoint; return how far, as ``FileScan.finish`` does, and whether to the end."""
        check = ModelCheck(self.catalogue, self.services.now(), effective, start.counts.demand.models)
        place = PlanFiles(self.services.outbox, job.job_id, self.attempt())
        limits = ShardLimits(
            effective.max_shard_requests, effective.max_shard_bytes, effective.folder.retry_max_tokens or 0
        )
        rules = LineRules(
            Defaults(effective.model, effective.folder.max_tokens),
            limits.longest_line,
            within_terms(job, check.problem),
            _spare_ids(job, dropped.kind.line_word, frozenset(start.repeated)),
            effective.folder.anthropic_version,
            Appraiser(effective.prices, at_least(effective.prices, shipped_prices()), limits.retry_max_tokens),
            params_problem(job, effective.betas),
        )
        source = dropped.kind.open(dropped.source, effective, rules)
        try:
            with FileScan(place, job.upload, source, rules, limits, effective.betas, start) as scan:
                done = scan.run(lambda: not self.deadline.is_within(_HAND_OVER_SECONDS))
                end = scan.finish(done)
        except ObjectNotFound:
            raise UnreadableInput("The file was deleted before all of it was read.") from None
        return replace(end, notes=tuple(dict.fromkeys((*effective.notes, *end.notes, *check.notes)))), done

    def _hand_over(self, job: Job, checkpoint: Checkpoint) -> Job:
        settings = self.services.settings
        key = work_key(job.job_id, f"checkpoint-{self.attempt()}.json")
        self.services.outbox.put(key, encode_checkpoint(checkpoint), JSON)
        self.services.jobs.note_planning(job, key, self.services.now())
        self.services.sqs.send(settings.plan_queue_url, {"job_id": job.job_id, "checkpoint": key})
        return job

    def _conclude(self, job: Job, effective: EffectiveSettings, end: Checkpoint) -> Job:
        if failure := failure_of(end.counts):
            return self._fail(job, failure)
        estimate = estimate_job(end.counts.demand, effective.prices, effective.folder.retry_max_tokens or 0)
        # Whoever may drop a file may also drop a price list: it can make an estimate truer, but no limit wider.
        bound = estimate_job(
            end.counts.demand,
            at_least(effective.prices, shipped_prices()),
            effective.folder.retry_max_tokens or 0,
            of_limit=True,
        )
        end = replace(end, notes=(*end.notes, *_notes_of_demand(end, bound, effective)))
        hold = None if job.cancel_requested else self._hold_of(job, end, bound, effective)
        plan = Plan(
            manifest_key=self._write_manifest(job, end),
            lines=end.counts.lines,
            requests=end.counts.requests,
            rejected=end.counts.rejected,
            shards=len(end.shards),
            estimated_cost=estimate.expected_cost,
            estimated_input_tokens=estimate.input_tokens,
            models=tuple(sorted(end.counts.demand.models)),
            worst_cost=estimate.worst_cost,
            notes=tuple(shorten(note) for note in end.notes[:_KEPT_NOTES]),
        )
        return self._record(job, plan, hold, end.settings_key)

    def _hold_of(self, job: Job, end: Checkpoint, bound: Estimate, effective: EffectiveSettings) -> Hold | None:
        hold = hold_of(end.counts, bound, effective)
        if hold is None and job.ticket and job.ticket.hold:
            hold = Hold(HoldKind.REQUESTED, "It was asked to wait once it is planned. Released, it runs.")
        beyond = is_beyond(bound, self.services.settings.max_job_cost)
        return replace(hold, needs_operator=beyond) if hold else None

    def _record(self, job: Job, plan: Plan, hold: Hold | None, settings_key: str) -> Job:
        job = self.services.jobs.record_plan(job, plan, self.services.now(), hold, settings_key=settings_key)
        if hold:
            self._call_back(job)
            announce_hold(self.services, job)
            return job
        return activate(self.services, job)

    def _write_manifest(self, job: Job, end: Checkpoint) -> str:
        manifest = Manifest(end.rejected_keys, end.counts.reasons, end.notes)
        return self.services.outbox.write_manifest(job.job_id, self.attempt(), manifest, end.shards)

    def _fail(self, job: Job, failure: str) -> Job:
        notice = status_notice(JobStatus.FAILED)
        try:
            job = self.services.jobs.fail(job, failure, notice, self.services.now())
        except ConditionFailed:
            return self.services.jobs.find(job.job_id) or job
        self._call_back(job)
        announce(self.services, job, notice)
        return job

    def _hold(self, job: Job, error: InputError, settings_digest: str = "") -> Job:
        reason = shorten(str(error))
        if job.cancel_requested:
            return self._fail(job, f"It was cancelled before it was planned. {reason}")
        hold = Hold(HoldKind.SETTINGS, f"{reason} {_CORRECT}", settings_digest)
        try:
            job = self.services.jobs.hold(job, hold, self.services.now())
        except ConditionFailed:
            return self.services.jobs.find(job.job_id) or job
        self._call_back(job)
        if self._is_corrected(job, settings_digest):
            # Whoever corrected them did so before there was a hold to be ended by it.
            return resume_job(self.services, job)
        announce_hold(self.services, job)
        return job

    def _is_corrected(self, job: Job, settings_digest: str) -> bool:
        """Return whether the settings of a job can be read by now, and are not those that it is held for."""
        try:
            return self._resolve(job).digest != settings_digest
        except InputError:
            return False

    def _resolve(self, job: Job) -> EffectiveSettings:
        given = given_settings(self.services.outbox, job)
        return resolve_settings(self.services.s3, self.services.settings, job.upload, given)

    def _call_back(self, job: Job) -> None:
        send_callback(self.services.sqs, self.services.settings.callback_queue_url, job)


def _notes_of_demand(end: Checkpoint, bound: Estimate, effective: EffectiveSettings) -> Iterator[str]:
    """Yield what a person should know of what all requests come to."""
    if effective.max_cost and (note := unbounded_note(bound)):
        yield note
    if end.counts.demand.appraised.older and effective.folder.anthropic_version is None:
        yield _OLDER


def _spare_ids(job: Job, kind: str, repeated: frozenset[str]) -> Callable[[int], str]:
    tag = job.job_id.rpartition("-")[2]
    return lambda number: spare_name(number, kind, tag, repeated)
