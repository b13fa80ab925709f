"""All keys of the one table: ``pk`` and ``sk`` of each kind of item, the ``open`` index, and when items expire.

    pk                    sk                             what it is                        expires
    JOB#<job>             JOB                            a job                             90 days after its end
    JOB#<job>             SHARD#<shard>#<wave>           a shard in one wave               90 days after collection
    JOBS#<yyyy-mm>        <seconds>#<job>                a job in the list of all          400 days after it was made
    CALLER#<caller>       JOB#<seconds>#<job>            a job in its owner's list         400 days after it was made
    IDEMPOTENCY#<hash>    JOB                            what an Idempotency-Key made      30 days after it was made
    BATCH#<batch>         BATCH                          which shard a Message Batch is    90 days after it was made
    ESTIMATE#batches      ESTIMATE                       how long batches took lately      never
    PAUSE#batches         PAUSE                          until when none is to be made     never
    TASK#<task>           TASK                           a task                            with the task
    TASK#<task>           REQUEST                        what was asked                    with the task
    TASK#<task>           TASK#ANSWER                    its answer                        with the task
    CALLER#<caller>       TASK#<task>                    a task in its caller's list       with the task
    IDEMPOTENCY#<hash>    TASK                           what an Idempotency-Key made      with the task
    ENDPOINT#<host:port>  BREAKER#<caller>               a caller's circuit breaker of it  7 days after a failure
    STREAM#<stream>       STREAM                         the state of a stream             with the stream
    STREAM#<stream>       REQUEST#<part>                 what Claude was asked             with the stream
    STREAM#<stream>       EVENTS#<first>                 its events, from that id on       as long after its write
    STREAM#<stream>       PIECE#<first>#<writer>#<part>  an event too large for one item   as long after its write
    KEY#<key>             KEY                            a client key                      never
    KEY#PEPPER            PEPPER                         what client keys are sealed with  never
    USAGE#<key>           USAGE#<yyyy-mm>                what a key used in a month (UTC)  400 days after a use
    USAGE#<key>           RATE#<minute>                  its requests in one minute        an hour after a use
    INCIDENT#<kind>       INCIDENT                       an incident, open or released     never
    INCIDENT#VERSION      VERSION                        how often one began or ended      never

A task's items expire some hours or days after it was made, and a stream's after it began, as the settings of each say.
DynamoDB deletes an item some time after its ``expires_at`` (whole epoch seconds). Numbers in sort keys have leading
zeros, so that text sorts as numbers do; the minutes of a rate, and seconds, count from 1970.

The index ``open`` is sparse: it has what carries ``open`` (its partition) and ``open_at`` (its sort key). Work loses
both when it is done, so that a poll reads nothing else; client keys keep theirs, so that they can be listed.

    open      open_at                     what is in it
    JOBS      JOB#<job>                   jobs that are not over, or not told of
    JOBS      SHARD#<job>#<shard>#<wave>  shards that are not collected
    TASK      <epoch seconds>             tasks and callbacks, by when the schedule looks at them
    INCIDENT  <epoch seconds>             open incidents, by when they began
    KEY       <epoch seconds>#<key>       client keys, revoked ones too, by when they were made

What a partition key begins with decides which functions may reach an item: policies in template.yaml name these
beginnings. So what a function writes of a client key has a partition of its own, beside the key, which none may write.

Standard library only: the streaming door imports it.
"""

from __future__ import annotations

import time

from sluice.aws.dynamodb import Key

# Partitions of the index ``open``.
OPEN_JOBS = "JOBS"
OPEN_TASKS = "TASK"
OPEN_INCIDENTS = "INCIDENT"
OPEN_CLIENT_KEYS = "KEY"

# What sort keys begin with, for queries of a partition.
SHARD_PREFIX = "SHARD#"
CALLERS_TASK_PREFIX = "TASK#"
OWNERS_JOB_PREFIX = "JOB#"
STREAM_REQUEST_PREFIX = "REQUEST#"

ESTIMATE_KEY = Key("ESTIMATE#batches", "ESTIMATE")
PAUSE_KEY = Key("PAUSE#batches", "PAUSE")
PEPPER_KEY = Key("KEY#PEPPER", "PEPPER")
# No incident has this name: kinds are in small letters.
INCIDENTS_VERSION_KEY = Key("INCIDENT#VERSION", "VERSION")


def open_at(at: float) -> str:
    """Write epoch seconds so that text sorts as time does."""
    return f"{at:017.3f}"


# Jobs


def job_key(job_id: str) -> Key:
    return Key(f"JOB#{job_id}", "JOB")


def shard_key(job_id: str, number: int, wave: int) -> Key:
    return Key(f"JOB#{job_id}", f"{SHARD_PREFIX}{number:05d}#{wave:02d}")


def listed_jobs_partition(month: str) -> str:
    """Return the partition of the list of all jobs that were made in a month such as ``2026-11`` (UTC)."""
    return f"JOBS#{month}"


def listed_job_key(created_at: float, job_id: str) -> Key:
    month = time.strftime("%Y-%m", time.gmtime(created_at))
    return Key(listed_jobs_partition(month), f"{open_at(created_at)}#{job_id}")


def owners_job_key(owner: str, created_at: float, job_id: str) -> Key:
    return Key(f"CALLER#{owner}", f"{OWNERS_JOB_PREFIX}{open_at(created_at)}#{job_id}")


def job_idempotency_key(key_hash: str) -> Key:
    return Key(f"IDEMPOTENCY#{key_hash}", "JOB")


def open_job(job_id: str) -> str:
    return f"JOB#{job_id}"


def open_shard(job_id: str, number: int, wave: int) -> str:
    return f"{SHARD_PREFIX}{job_id}#{number:05d}#{wave:02d}"


def batch_key(batch_id: str) -> Key:
    return Key(f"BATCH#{batch_id}", "BATCH")


# Tasks


def task_key(task_id: str) -> Key:
    return Key(f"TASK#{task_id}", "TASK")


def task_request_key(task_id: str) -> Key:
    return Key(f"TASK#{task_id}", "REQUEST")


def task_answer_key(task_id: str) -> Key:
    return Key(f"TASK#{task_id}", "TASK#ANSWER")


def callers_task_key(caller: str, task_id: str) -> Key:
    return Key(f"CALLER#{caller}", f"{CALLERS_TASK_PREFIX}{task_id}")


def idempotency_key(key_hash: str) -> Key:
    return Key(f"IDEMPOTENCY#{key_hash}", "TASK")


def endpoint_key(host_and_port: str, caller: str) -> Key:
    return Key(f"ENDPOINT#{host_and_port}", f"BREAKER#{caller}")


# Streams


def stream_key(stream_id: str) -> Key:
    return Key(f"STREAM#{stream_id}", "STREAM")


def stream_request_key(stream_id: str, part: int) -> Key:
    return Key(f"STREAM#{stream_id}", f"{STREAM_REQUEST_PREFIX}{part:03d}")


def stream_events_key(stream_id: str, first: int) -> Key:
    return Key(f"STREAM#{stream_id}", f"EVENTS#{first:010d}")


def stream_piece_key(stream_id: str, first: int, writer: str, part: int) -> Key:
    return Key(f"STREAM#{stream_id}", f"{stream_piece_prefix(first, writer)}{part:04d}")


def stream_piece_prefix(first: int, writer: str) -> str:
    """Return what the sort keys of the pieces of one event begin with."""
    return f"PIECE#{first:010d}#{writer}#"


# Access and incidents


def client_key(key_id: str) -> Key:
    return Key(f"KEY#{key_id}", "KEY")


def usage_key(key_id: str, month: str) -> Key:
    return Key(f"USAGE#{key_id}", f"USAGE#{month}")


def rate_key(key_id: str, minute: int) -> Key:
    return Key(f"USAGE#{key_id}", f"RATE#{minute}")


def open_client_key(created_at: int, key_id: str) -> str:
    return f"{created_at:012d}#{key_id}"


def incident_key(kind: str) -> Key:
    return Key(f"INCIDENT#{kind}", "INCIDENT")
