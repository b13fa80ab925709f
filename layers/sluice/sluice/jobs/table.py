"""The states of jobs in the table: each method is one transition, and one conditional write.

A transition that finds another state than the one it starts from raises ConditionFailed and changes nothing: somebody
else was there first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sluice.aws.dynamodb import Put, Table, Update
from sluice.errors import ConditionFailed
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
from sluice.jobs.table_items import KEEP_SECONDS, is_shard, job_from_item, job_item, shard_from_item
from sluice.table_keys import OPEN_JOBS, job_key
from sluice.transitions import move

_HOLD = ("hold", "held_at", "status_before_hold", "incident_number")


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

    # A job's way

    def claim(self, upload: Upload, now: float, settings_key: str | None = None) -> Job:
        """Make the job of an upload, or return the one that an earlier notification of it made."""
        job = Job(upload, JobStatus.RECEIVED, received_at=now, moved_at=now, settings_key=settings_key)
        try:
            self.table.put(Put(job_item(job)))
        except ConditionFailed:
            return self.find(upload.job_id) or job
        return job

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
        changes = {**_over(notice, now), "tally": asdict(tally)}
        return self._apply("finish", Update(job_key(job_id), set=changes, where={"open_shards": 0}), now, status)

    def fail(self, job: Job, failure: str, notice: str, now: float) -> Job:
        """received -> failed: nothing in the file can run."""
        changes = {**_over(notice, now), "failure": failure}
        return self._apply("fail", Update(job_key(job.job_id), set=changes, where=_as_held(job)), now)

    def give_up(self, job: Job, failure: str, notice: str, now: float) -> Job:
        """held -> failed: it can be released no more."""
        return self._apply("give_up", _of_hold(job, {**_over(notice, now), "failure": failure}), now)

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
        closing = ("open", "open_at") if job.status.final and not others else ()
        self.table.update(Update(job_key(job.job_id), entries={("notices", notice): state}, remove=closing))


def _as_held(job: Job) -> dict[str, object]:
    """Return the condition that a job was not held since it was read: what was seen before a hold is not of after it.

    Every hold is counted, so that its release is seen as well.
    """
    return {"holds": job.holds or None}


def _holding(update: Update, job: Job, hold: Hold, before: JobStatus, now: float) -> Update:
    """Hold a job in an update. An incident has a notice of its own."""
    held = {"hold": asdict(hold), "held_at": now, "status_before_hold": before, "notice_tries": 0}
    notice = None if hold.incident else hold_notice(hold.kind, job.holds + 1)
    # What was read with settings that have to be corrected is read anew.
    remove = ("checkpoint_key",) if hold.kind == HoldKind.SETTINGS else ()
    return replace(update, set={**update.set, **held}, add={"holds": 1}, entries=_pending(notice), remove=remove)


def _of_hold(job: Job, changes: Mapping[str, object]) -> Update:
    """End the hold that the caller saw, and no later one."""
    where = {"held_at": job.held_at, **_as_held(job)}
    return Update(job_key(job.job_id), set=changes, remove=_HOLD, where=where)


def _over(notice: str, now: float) -> dict[str, object]:
    pending = {notice: NoticeState.PENDING}
    over = {"finished_at": now, "expires_at": round(now) + KEEP_SECONDS, "notices": pending}
    return over | {"notice_tries": 0}


def _pending(notice: str | None) -> dict[tuple[str, str], object]:
    return {("notices", notice): NoticeState.PENDING} if notice else {}
