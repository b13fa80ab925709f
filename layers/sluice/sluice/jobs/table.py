"""The states of jobs in the table: each method is one transition, and one conditional write.

A transition that finds another state than the one it starts from raises ConditionFailed and changes nothing: somebody
else was there first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sluice.aws.dynamodb import Item, Put, Table, Update
from sluice.aws.sqs import is_too_long
from sluice.errors import ConditionFailed
from sluice.http.idempotency import Idempotency
from sluice.jobs.model import (
    JOB_TRANSITIONS,
    Hold,
    HoldKind,
    Job,
    JobStatus,
    NoticeState,
    Plan,
    Shard,
    Tally,
    Upload,
    channel_mark,
    hold_notice,
)
from sluice.jobs.table_items import (
    KEEP_SECONDS,
    LISTED_SECONDS,
    is_shard,
    job_from_item,
    job_item,
    listing_items,
    shard_from_item,
)
from sluice.table_keys import (
    OPEN_JOBS,
    OWNERS_JOB_PREFIX,
    job_idempotency_key,
    job_key,
    listed_jobs_partition,
    open_job,
    owners_job_key,
)
from sluice.transitions import move

_CALLBACK = ("callback_error", "delivered_at")
# What a hold has, and what is told of it.
_HOLD = ("hold", "held_at", "status_before_hold", "incident_number", "callback", "callback_event", *_CALLBACK)


# A function that makes a callback due sends its message within this time, or has died, or leaves it to the poller.
_FIRST_SECONDS = 120.0
# Later, its message is under way, or lost.
_OVERDUE_SECONDS = 1800.0
# What of a job has to do with what was in it.
_OF_CONTENT = (
    "open open_at version plan tally settings_key hold held_at status_before_hold failure ticket callback "
    "callback_event callback_error retried_as resent_at"
).split()
# For longer than any caller goes on trying.
_IDEMPOTENT_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class FirstJobCall:
    """What the first call with an ``Idempotency-Key`` made, and what it asked."""

    job_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class JobListing:
    """A job in a list; ``place`` says where in it, ``created_at`` when it was made (epoch seconds)."""

    job_id: str
    folder: str
    place: str

    @property
    def created_at(self) -> float:
        return float(self.place.partition("#")[0])


def _listing(item: Item, place: str) -> JobListing:
    return JobListing(item["job_id"], item["folder"], place)


def _months_back(begin: float, oldest: float) -> Iterator[str]:
    """Yield the months (UTC) from that of one moment back to that of another."""
    first, last = time.gmtime(begin), time.gmtime(oldest)
    for number in range(first.tm_year * 12 + first.tm_mon - 1, last.tm_year * 12 + last.tm_mon - 2, -1):
        yield f"{number // 12:04d}-{number % 12 + 1:02d}"


@dataclass(frozen=True, slots=True)
class JobTable:
    table: Table

    # Reading

    def find(self, job_id: str) -> Job | None:
        item = self.table.get(job_key(job_id))
        return job_from_item(item) if item else None

    def open(self) -> Iterator[Job | Shard]:
        """Yield all jobs and shards that are open: jobs first. One query a megabyte, and one where nothing is open."""
        for item in self.table.open(OPEN_JOBS):
            yield shard_from_item(item) if is_shard(item) else job_from_item(item)

    def first_call(self, idempotency: Idempotency) -> FirstJobCall | None:
        item = self.table.get(job_idempotency_key(idempotency.key_hash))
        return FirstJobCall(item["job_id"], item["fingerprint"]) if item else None

    def listings(
        self, owner: str | None, after: str | None, now: float, since: float | None = None
    ) -> Iterator[JobListing]:
        """Yield the places of an owner's jobs in their list, or those of all jobs, newest first.

        ``after`` is the place behind which to begin; months that ended before ``since`` are not looked at.
        """
        if owner is not None:
            pk = owners_job_key(owner, now, "").pk
            begin = f"{OWNERS_JOB_PREFIX}{after}" if after else None
            for item in self.table.query(pk, OWNERS_JOB_PREFIX, newest_first=True, after=begin):
                yield _listing(item, str(item["sk"]).removeprefix(OWNERS_JOB_PREFIX))
            return
        begin_at = float(after.partition("#")[0]) if after else now
        oldest = max(since or 0.0, now - LISTED_SECONDS)
        for number, month in enumerate(_months_back(begin_at, oldest)):
            pk = listed_jobs_partition(month)
            for item in self.table.query(pk, newest_first=True, after=after if number == 0 else None):
                yield _listing(item, str(item["sk"]))

    # A job's way

    def claim(self, upload: Upload, now: float, settings_key: str | None = None) -> Job:
        """Make the job of an upload, or return the one that an earlier notification of it made."""
        job = Job(upload, JobStatus.RECEIVED, received_at=now, moved_at=now, settings_key=settings_key, created_at=now)
        try:
            self._make(job)
        except ConditionFailed:
            return self.find(upload.job_id) or job
        return job

    def announce_upload(self, job: Job, idempotency: Idempotency | None) -> None:
        """Make a job whose file is still to come. ConditionFailed: the idempotency key was used before."""
        puts = []
        if idempotency:
            first = {"job_id": job.job_id, "fingerprint": idempotency.fingerprint}
            expires_at = round(job.received_at) + _IDEMPOTENT_SECONDS
            key = job_idempotency_key(idempotency.key_hash)
            puts.append(Put({**key.attributes(), **first, "expires_at": expires_at}))
        self._make(job, *puts)

    def _make(self, job: Job, *others: Put | Update) -> None:
        self.table.transact(Put(job_item(job)), *map(Put, listing_items(job)), *others)

    def arrive(self, job: Job, upload: Upload, now: float) -> Job:
        """awaiting_upload -> received: the file that was announced has come."""
        changes = {"version": upload.version, "etag": upload.etag, "size": upload.size, "received_at": now}
        return self._apply("arrive", Update(job_key(job.job_id), set=changes), now)

    def announce_retry(self, failed: Job, job: Job) -> None:
        """Make the job that runs again what of another failed. ConditionFailed: there is one by now."""
        mark = Update(job_key(failed.job_id), set={"retried_as": job.job_id}, where={"retried_as": failed.retried_as})
        self._make(job, mark)

    def request_delete(self, job: Job, now: float) -> Job:
        """A final state -> deleting. Nothing more is told of it."""
        changes = {"open": OPEN_JOBS, "open_at": open_job(job.job_id), "notices": {}, "resends": 0}
        update = Update(job_key(job.job_id), set=changes, remove=("callback", "expires_at"))
        return self._apply("request_delete", update, now)

    def mark_deleted(self, job: Job, now: float) -> Job:
        """deleting -> deleted: what is left says that there was a job, whose, and when it went."""
        left = {"deleted_at": now, "expires_at": round(now) + KEEP_SECONDS, "ticket_id": job.job_id}
        left |= {"key": "", "etag": "", "size": 0, "notices": {}}
        update = Update(job_key(job.job_id), set=left, remove=_OF_CONTENT)
        return self._apply("mark_deleted", update, now)

    def expire(self, job_id: str, now: float) -> Job:
        """awaiting_upload -> expired: no file has come in time."""
        return self._apply("expire", _unused(job_id, now), now)

    def withdraw(self, job_id: str, now: float) -> Job:
        """awaiting_upload -> cancelled: no file is waited for any more."""
        return self._apply("withdraw", _unused(job_id, now), now)

    def note_planning(self, job: Job, checkpoint_key: str, now: float) -> None:
        """Note that the reading of a file goes on in a new invocation, and from where; a push goes on there."""
        update = Update(job_key(job.job_id), set={"checkpoint_key": checkpoint_key}, where=_as_held(job))
        self._apply("note_planning", update, now)

    def record_plan(
        self,
        job: Job,
        plan: Plan,
        now: float,
        hold: Hold | None = None,
        *,
        settings_key: str | None = None,
    ) -> Job:
        """received -> planned, or held as it is: one plan wins, however often the file was read, with its settings.

        It is not recorded where the job was held since its file began to be read. The notice of a hold is pending from
        the same write on.
        """
        update = Update(job_key(job.job_id), set={"plan": asdict(plan)}, where=_as_held(job))
        if hold:
            update = _holding(update, job, hold, JobStatus.PLANNED, now)
        if settings_key:
            update = replace(update, set={**update.set, "settings_key": settings_key})
        return self._apply("record_plan", update, now, JobStatus.HELD if hold else JobStatus.PLANNED)

    def start(self, job_id: str, shards: int, now: float) -> Job:
        """planned -> running, once all of its shards are in the table."""
        update = Update(job_key(job_id), set={"open_shards": shards, "started_at": now})
        return self._apply("start", update, now)

    def hold(self, job: Job, hold: Hold, now: float, incident_number: int = 0) -> Job:
        """received | planned | running -> held, where it was not held since ``job`` was read.

        Its notice is pending from the same write on. What waits for an incident has its number, and no notice.
        """
        update = _holding(Update(job_key(job.job_id), where=_as_held(job)), job, hold, job.status, now)
        if incident_number:
            update = replace(update, set={**update.set, "incident_number": incident_number})
        return self._apply("hold", update, now, seen=job.status)

    def release(self, job: Job, now: float) -> Job:
        """held -> the state before. Only the hold that the caller saw ends: nobody has decided on a later one."""
        if job.status_before_hold is None:
            raise ConditionFailed(f"Job {job.job_id} is not held.")
        changes = {"released_hold": job.hold.kind if job.hold else ""}
        return self._apply("release", _of_hold(job, changes), now, job.status_before_hold)

    def request_cancel(self, job_id: str, now: float) -> Job:
        """Mark a job for its end. A held one has to be released, to be ended where it was."""
        return self._apply("request_cancel", Update(job_key(job_id), set={"cancel_requested": True}), now)

    def finish(self, job_id: str, status: JobStatus, tally: Tally, notice: str, now: float) -> Job:
        """running -> a final state, when no shard is open; its notice is pending from the same write on."""
        changes = {**_over(status, notice, now), "tally": asdict(tally)}
        return self._apply("finish", Update(job_key(job_id), set=changes, where={"open_shards": 0}), now, status)

    def fail(self, job: Job, failure: str, notice: str, now: float) -> Job:
        """received -> failed: nothing in the file can run."""
        changes = {**_over(JobStatus.FAILED, notice, now), "failure": failure}
        return self._apply("fail", Update(job_key(job.job_id), set=changes, where=_as_held(job)), now)

    def give_up(self, job: Job, failure: str, notice: str, now: float) -> Job:
        """held -> failed: it can be released no more."""
        return self._apply("give_up", _of_hold(job, {**_over(JobStatus.FAILED, notice, now), "failure": failure}), now)

    def close(self, job: Job) -> None:
        """Let no poll read a job again that is in its final state and of which all has been told."""
        update = Update(job_key(job.job_id), remove=("open", "open_at"))
        self.table.update(move(update, JOB_TRANSITIONS["close"]))

    def record_resend(self, job: Job, now: float) -> Job:
        """Note that the messages of a job that does not move were sent again."""
        resends = job.resends + 1 if (job.resent_at or 0) >= job.moved_at else 1
        update = Update(
            job_key(job.job_id), set={"resent_at": now, "resends": resends}, where={"resent_at": job.resent_at}
        )
        return job_from_item(self.table.update(update))

    def _apply(
        self,
        name: str,
        update: Update,
        now: float,
        to: JobStatus | None = None,
        seen: JobStatus | None = None,
    ) -> Job:
        update = replace(update, set={**update.set, "moved_at": now})
        return job_from_item(self.table.update(move(update, JOB_TRANSITIONS[name], to, seen=seen)))

    # Calling back whoever made the job

    def claim_callback(self, job_id: str, now: float, until: float) -> Job:
        """Take a callback that is due, or one whose courier died."""
        update = Update(
            job_key(job_id),
            set={"callback_due_at": until, "callback_look_at": until + _OVERDUE_SECONDS},
            add={"callback_attempts": 1},
            where={"callback": "pending"},
            condition="#callback_due_at <= :callback_due_at",
            values={"callback_due_at": now},
        )
        return job_from_item(self.table.update(update))

    def put_back_callback(self, job: Job, now: float, due_at: float, error: str, *, uncounted: bool = False) -> None:
        """Let a claimed callback be tried again; ``uncounted``: this was no attempt."""
        look_at = due_at if is_too_long(due_at - now) else due_at + _OVERDUE_SECONDS
        changes = {"callback_due_at": due_at, "callback_look_at": look_at, "callback_error": error}
        add = {"callback_attempts": -1} if uncounted else {}
        self.table.update(Update(job_key(job.job_id), set=changes, add=add, where=_claimed_callback(job)))

    def close_callback(self, job: Job, state: str, now: float, error: str | None = None) -> None:
        """End a claimed callback as delivered or undelivered. The poller closes its job where that is over."""
        told = {"delivered_at": now} if state == "delivered" else {"callback_error": error}
        remove = ("callback_error",) if state == "delivered" else ()
        update = Update(
            job_key(job.job_id), set={"callback": state, **told}, remove=remove, where=_claimed_callback(job)
        )
        self.table.update(update)

    def note_callback_sent(self, job: Job, now: float) -> None:
        """Note that a callback has been given a message by the poller, so that it gets no other one soon."""
        where = {"callback": "pending", "callback_look_at": job.callback_look_at}
        self.table.update(Update(job_key(job.job_id), set={"callback_look_at": now + _OVERDUE_SECONDS}, where=where))

    # Telling people, once each

    def add_notice(self, job: Job, notice: str, now: float) -> bool:
        """Make a notice pending that did not come with a transition.

        False where there was one already, or the job is no longer in the state that it was seen in: what was to be told
        is not true of it any more, or has to be found anew.
        """
        if job.status.final:
            return False
        update = Update(
            job_key(job.job_id),
            set={"noticed_at": now, "notice_tries": 0},
            entries=_pending(notice),
            where={"status": job.status, **_as_held(job)},
            condition="attribute_not_exists(#notices.#entry0)",
        )
        try:
            self.table.update(update)
        except ConditionFailed:
            return False
        return True

    def claim_notices(self, job: Job, now: float) -> Job:
        """Take what is pending, to try it again. Raises ConditionFailed where somebody else has."""
        where = {"notice_tried_at": job.notice_tried_at}
        update = Update(job_key(job.job_id), set={"notice_tried_at": now}, add={"notice_tries": 1}, where=where)
        return job_from_item(self.table.update(update))

    def notice_sent_on(self, job: Job, notice: str, channels: Sequence[str]) -> None:
        """Mark which channels have a notice, where another did not take it: that one is tried again."""
        marks = {("notices", channel_mark(notice, channel)): NoticeState.SENT for channel in channels}
        if marks:
            self.table.update(Update(job_key(job.job_id), entries=marks))

    def notice_sent(self, job: Job, notice: str) -> None:
        """Mark a notice as sent. The last one of a job in its final state closes it: no poll reads it again."""
        self._end_notice(job, notice, NoticeState.SENT)

    def notice_dropped(self, job: Job, notice: str) -> None:
        """Mark a notice as never to be sent: what it says has become untrue, or it was tried in vain for too long."""
        self._end_notice(job, notice, NoticeState.DROPPED)

    def _end_notice(self, job: Job, notice: str, state: NoticeState) -> None:
        others = any(each == NoticeState.PENDING for name, each in job.notices.items() if name != notice)
        closing = ("open", "open_at") if job.status.final and not others and not job.calls_back else ()
        self.table.update(Update(job_key(job.job_id), entries={("notices", notice): state}, remove=closing))


def _as_held(job: Job) -> dict[str, object]:
    """Return the condition that a job was not held since it was read: what was seen before a hold is not of after it.

    Every hold is counted, so that its release is seen as well.
    """
    return {"holds": job.holds or None}


def _holding(update: Update, job: Job, hold: Hold, before: JobStatus, now: float) -> Update:
    """Hold a job in an update. An incident has a notice of its own."""
    held = {"hold": asdict(hold), "held_at": now, "status_before_hold": before, "notice_tries": 0}
    held |= _to_be_told(f"held-{job.holds + 1}", now)
    # Whoever asked for a hold need not be told of it.
    untold = hold.incident or hold.kind == HoldKind.REQUESTED
    notice = None if untold else hold_notice(hold.kind, job.holds + 1)
    # What was read with settings that have to be corrected is read anew.
    remove = ("checkpoint_key",) if hold.kind == HoldKind.SETTINGS else ()
    return replace(update, set={**update.set, **held}, add={"holds": 1}, entries=_pending(notice), remove=remove)


def _unused(job_id: str, now: float) -> Update:
    """End a job of which there is nothing to tell."""
    changes = {"finished_at": now, "expires_at": round(now) + KEEP_SECONDS}
    return Update(job_key(job_id), set=changes, remove=("open", "open_at"))


def _of_hold(job: Job, changes: Mapping[str, object]) -> Update:
    """End the hold that the caller saw, and no later one."""
    remove = tuple(name for name in _HOLD if name not in changes)
    return Update(job_key(job.job_id), set=changes, remove=remove, where={"held_at": job.held_at, **_as_held(job)})


def _over(status: JobStatus, notice: str, now: float) -> dict[str, object]:
    pending = {notice: NoticeState.PENDING}
    ended = {"finished_at": now, "expires_at": round(now) + KEEP_SECONDS, "notices": pending, "notice_tries": 0}
    return ended | _to_be_told(str(status), now)


def _to_be_told(event: str, now: float) -> dict[str, object]:
    """Make a state due to be told to whoever asked to be called back; of other jobs, nobody looks at this."""
    pending = {"callback": "pending", "callback_event": event, "callback_attempts": 0}
    return {**pending, "callback_since": now, "callback_due_at": now, "callback_look_at": now + _FIRST_SECONDS}


def _claimed_callback(job: Job) -> dict[str, object]:
    """Return the condition under which the courier that claimed this attempt, and no other, may end it."""
    attempts = job.callback_attempts
    return {"callback": "pending", "callback_event": job.callback_event, "callback_attempts": attempts}


def _pending(notice: str | None) -> dict[tuple[str, str], object]:
    return {("notices", notice): NoticeState.PENDING} if notice else {}
