"""Jobs and shards as items of the table, both ways.

What stands in an item and is not known here is passed over: a newer version wrote it, and this one was gone back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from sluice.aws.dynamodb import Item, Key
from sluice.jobs.model import (
    Hold,
    Job,
    JobStatus,
    NoticeState,
    Outcome,
    Plan,
    Shard,
    ShardRef,
    ShardStatus,
    Source,
    Tally,
    Ticket,
    Tokens,
    Upload,
)
from sluice.table_keys import (
    OPEN_JOBS,
    SHARD_PREFIX,
    job_key,
    listed_job_key,
    open_job,
    open_shard,
    owners_job_key,
    shard_key,
)

T = TypeVar("T")
# How long a job stands in the lists: for longer than any job that is told of there.
LISTED_SECONDS = 400 * 86_400
# How long a job stays in the table after its end; its results stay in the Outbox as the bucket's lifecycle says.
KEEP_SECONDS = 90 * 86_400


def key_of(ref: ShardRef) -> Key:
    return shard_key(ref.job_id, ref.shard, ref.wave)


def is_shard(item: Item) -> bool:
    return str(item["sk"]).startswith(SHARD_PREFIX)


def job_item(job: Job) -> Item:
    """Encode a new job; its state changes by updates afterwards."""
    return {
        **job_key(job.job_id).attributes(),
        **asdict(job.upload),
        "job_id": job.job_id,
        "status": job.status,
        "received_at": job.received_at,
        "moved_at": job.moved_at,
        "open_shards": job.open_shards,
        "settings_key": job.settings_key,
        "created_at": job.created_at,
        "owner": job.owner,
        "ticket": asdict(job.ticket) if job.ticket else None,
        "notices": {},
        "open": OPEN_JOBS,
        "open_at": open_job(job.job_id),
    }


def listing_items(job: Job) -> list[Item]:
    """Encode a new job's places in the list of all and, where it has an owner, in theirs."""
    created_at = job.created_at or job.received_at
    keys = [listed_job_key(created_at, job.job_id)]
    keys += [owners_job_key(job.owner, created_at, job.job_id)] if job.owner else []
    expires_at = round(created_at) + LISTED_SECONDS
    common = {"job_id": job.job_id, "folder": job.upload.folder, "expires_at": expires_at}
    return [{**key.attributes(), **common} for key in keys]


def job_from_item(item: Item) -> Job:
    upload = Upload(item["bucket"], item["key"], item.get("version"), item["etag"], item["size"], item.get("ticket_id"))
    before = item.get("status_before_hold")
    return Job(
        upload=upload,
        status=JobStatus(item["status"]),
        received_at=item["received_at"],
        moved_at=item["moved_at"],
        settings_key=item.get("settings_key"),
        checkpoint_key=item.get("checkpoint_key"),
        plan=_plan(item["plan"]) if "plan" in item else None,
        open_shards=item.get("open_shards", 0),
        hold=_known(Hold, item["hold"]) if "hold" in item else None,
        held_at=item.get("held_at"),
        status_before_hold=JobStatus(before) if before else None,
        holds=item.get("holds", 0),
        incident_number=item.get("incident_number", 0),
        cancel_requested=item.get("cancel_requested", False),
        started_at=item.get("started_at"),
        finished_at=item.get("finished_at"),
        failure=item.get("failure"),
        noticed_at=item.get("noticed_at"),
        notice_tried_at=item.get("notice_tried_at"),
        notice_tries=item.get("notice_tries", 0),
        resent_at=item.get("resent_at"),
        resends=item.get("resends", 0),
        tally=_tally(item["tally"]) if "tally" in item else None,
        notices={name: NoticeState(state) for name, state in item.get("notices", {}).items()},
        created_at=item.get("created_at"),
        owner=item.get("owner"),
        ticket=_ticket(item["ticket"]) if "ticket" in item else None,
        retried_as=item.get("retried_as"),
        deleted_at=item.get("deleted_at"),
        callback=item.get("callback"),
        callback_event=item.get("callback_event"),
        callback_attempts=item.get("callback_attempts", 0),
        callback_due_at=item.get("callback_due_at", 0.0),
        callback_since=item.get("callback_since", 0.0),
        callback_look_at=item.get("callback_look_at", 0.0),
        callback_error=item.get("callback_error"),
        delivered_at=item.get("delivered_at"),
    )


def _plan(values: Mapping[str, Any]) -> Plan:
    lists = {"models": tuple(values.get("models", ())), "notes": tuple(values.get("notes", ()))}
    return _known(Plan, {**values, **lists})


def _tally(values: Mapping[str, Any]) -> Tally:
    lists = {name: tuple(values.get(name, ())) for name in ("tables", "other_rejections")}
    return _known(Tally, {**values, **lists})


def _known(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # each kind here is a dataclass
    return kind(**{name: value for name, value in values.items() if name in names})


def _ticket(values: Mapping[str, Any]) -> Ticket:
    return _known(Ticket, {**values, "models": tuple(values.get("models", ()))})


def shard_item(shard: Shard) -> Item:
    values = {each.name: getattr(shard, each.name) for each in fields(shard) if each.name not in {"ref", "source"}}
    outcome = values.pop("outcome")
    return {
        **key_of(shard.ref).attributes(),
        **shard.ref.message(),
        **values,
        "source": asdict(shard.source),
        "outcome": outcome_values(outcome) if outcome else None,
        "open": OPEN_JOBS,
        "open_at": open_shard(shard.ref.job_id, shard.ref.shard, shard.ref.wave),
    }


def shard_from_item(item: Item) -> Shard:
    known = {each.name for each in fields(Shard)} - {"ref", "source", "status", "outcome", "candidates", "ruled_out"}
    return Shard(
        ref=ShardRef.parse(item),
        source=_known(Source, {"version": None, **item["source"]}),
        status=ShardStatus(item["status"]),
        candidates=tuple(item.get("candidates", ())),
        ruled_out=tuple(item.get("ruled_out", ())),
        outcome=_outcome(item["outcome"]) if "outcome" in item else None,
        **{name: item[name] for name in known if name in item},
    )


def outcome_values(outcome: Outcome) -> dict[str, object]:
    return {**asdict(outcome), "tokens": {model: asdict(tokens) for model, tokens in outcome.tokens.items()}}


def _outcome(values: Mapping[str, Any]) -> Outcome:
    tokens = {model: _known(Tokens, each) for model, each in values.get("tokens", {}).items()}
    return _known(Outcome, {**values, "tokens": tokens})
