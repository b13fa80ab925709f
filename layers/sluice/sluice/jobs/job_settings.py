"""The settings of one job, fixed when it is first planned, so that what is planned again is planned the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from sluice.aws.s3 import S3
from sluice.claude.prices import PriceList, parse_prices, shipped_prices
from sluice.errors import InputError, ObjectNotFound
from sluice.jobs.folder_settings import (
    FILE_NAME,
    FolderSettings,
    ReadSettings,
    is_settings_name,
    parse_folder_settings,
    parse_given_settings,
)
from sluice.jobs.model import Job, Upload, work_key
from sluice.jobs.outbox import JSON, Outbox
from sluice.settings import JobSettings

PRICES_KEY = "prices.json"
# Enough for any settings written by hand; more is some other file. YAML takes seconds a megabyte to read.
_MAX_BYTES = 1 << 20
_MAX_FOLDER_BYTES = 1 << 18
# S3 lists by the beginning of a name, in which capitals count.
_STEMS = ("sluice", "Sluice", "SLUICE")


@dataclass(frozen=True, slots=True)
class EffectiveSettings:
    """Folder settings laid over those of the stack, and the price list of the day. Limits as in ``JobSettings``.

    ``folder_key`` names the ``sluice.yaml`` that was used, or is None; ``model`` is "" where none is set; ``notes`` say
    what a person should know of how the settings were read.
    """

    folder: FolderSettings
    folder_key: str | None
    model: str
    max_cost: float
    max_bad_share: float
    max_waves: int
    max_shard_requests: int
    max_shard_bytes: int
    prices: PriceList
    notes: tuple[str, ...] = ()
    digest: str = ""  #: Of what the folder's settings say, to tell whether they are other ones; "" without any.

    @property
    def betas(self) -> str | None:
        return ",".join(self.folder.betas) or None


_DECODER = msgspec.json.Decoder(EffectiveSettings)


def resolve_settings(s3: S3, settings: JobSettings, upload: Upload, given: bytes | None = None) -> EffectiveSettings:
    """Find and read the settings for an upload. Raises InputError where those of its folder cannot be used.

    ``given`` are those that came with the job: they win over the folder's.
    """
    folder_key, found = _find_folder_settings(s3, upload, given)
    prices = _find_prices(s3, upload.bucket)
    effective = merge_settings(settings, found.settings, folder_key, prices.prices)
    digest = hashlib.sha256(msgspec.json.encode(found.settings)).hexdigest() if folder_key else ""
    return replace(effective, notes=(*prices.notes, *found.notes), digest=digest)


def merge_settings(
    settings: JobSettings, folder: FolderSettings, folder_key: str | None, prices: PriceList
) -> EffectiveSettings:
    """Lay a folder's settings over the stack's. A folder may lower the stack's limits of cost and waves, not raise."""
    limits = folder.limits
    return EffectiveSettings(
        folder=folder,
        folder_key=folder_key,
        model=folder.model or settings.default_model,
        max_cost=min(filter(None, (limits.max_cost, settings.max_job_cost)), default=0.0),
        max_bad_share=settings.max_bad_share if limits.max_bad_share is None else limits.max_bad_share,
        max_waves=min(limits.max_waves or settings.max_waves, settings.max_waves),
        max_shard_requests=settings.max_shard_requests,
        max_shard_bytes=settings.max_shard_bytes,
        prices=prices,
    )


def write_settings(outbox: Outbox, upload: Upload, effective: EffectiveSettings, attempt: str) -> str:
    """Put the settings of a job into the Outbox; return their key. Raises InputError where they would not read back."""
    key = work_key(upload.job_id, f"settings-{attempt}.json")
    outbox.put(key, _encode(effective), JSON)
    return key


def _encode(effective: EffectiveSettings) -> bytes:
    """Write settings, and read them once as every later step will: what it cannot read would stop the job for good."""
    try:
        data = msgspec.json.encode(effective)
        _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        where = f"{effective.folder_key or FILE_NAME} or {PRICES_KEY}"
        raise InputError(f"{where}: there is a value that cannot be kept as JSON: {error}.") from None
    return data


def given_settings(outbox: Outbox, job: Job) -> bytes | None:
    """Read the settings that came with a job; None where none did. Raises as ``S3`` does."""
    return outbox.get(job.ticket.settings_key) if job.ticket and job.ticket.settings_key else None


def read_settings(outbox: Outbox, job: Job) -> EffectiveSettings:
    """Read the settings of a planned job. Raises ValueError for one without any, otherwise as ``S3`` does."""
    if job.settings_key is None:
        raise ValueError(f"Job {job.job_id} has no settings yet.")
    return read_settings_at(outbox, job.settings_key)


def read_settings_at(outbox: Outbox, settings_key: str) -> EffectiveSettings:
    """Read settings that ``write_settings`` wrote. Raises as ``S3`` does."""
    return _DECODER.decode(outbox.get(settings_key))


def check_settings_object(s3: S3, bucket: str, key: str) -> None:
    """Read a ``sluice.yaml`` or the price list as a job would. Raises InputError, otherwise as ``S3`` does."""
    if key == PRICES_KEY:
        _read_prices(s3, bucket)
    else:
        parse_folder_settings(_read_small(s3, bucket, key, _MAX_FOLDER_BYTES), key)


def _find_folder_settings(s3: S3, upload: Upload, given: bytes | None) -> tuple[str | None, ReadSettings]:
    """Find the nearest settings: in the folder, in each one above it, at the top of the bucket."""
    for folder in _folders_up(upload.folder):
        for key in _settings_keys(s3, upload.bucket, folder):
            try:
                return key, parse_folder_settings(_read_small(s3, upload.bucket, key, _MAX_FOLDER_BYTES), key, given)
            except ObjectNotFound:
                continue
    return None, parse_given_settings(given) if given else ReadSettings(FolderSettings())


def _folders_up(folder: str) -> Iterator[str]:
    while folder:
        yield f"{folder}/"
        folder = folder.rpartition("/")[0]
    yield ""


def _settings_keys(s3: S3, bucket: str, folder: str) -> Iterator[str]:
    """Yield where settings of a folder, given with its slash, may lie: under the documented name, or another."""
    yield f"{folder}{FILE_NAME}"
    for stem in _STEMS:
        for found in s3.list(bucket, f"{folder}{stem}."):
            if is_settings_name(found.key.removeprefix(folder)):
                yield found.key


_USED = (
    f"Costs are estimated with the {PRICES_KEY} in the Inbox. Limits of cost are held against no less than the prices "
    "that ship with Sluice."
)
_NOT_USED = "So it is left out, and costs are estimated with the prices that ship with Sluice."


@dataclass(frozen=True, slots=True)
class FoundPrices:
    """A price list, and ``notes`` of where it comes from, if not from Sluice alone."""

    prices: PriceList
    notes: tuple[str, ...] = ()


def _find_prices(s3: S3, inbox: str) -> FoundPrices:
    """Find the prices of a job. Whoever may write the Inbox may leave a list there, for all of its folders: so one that
    is no good holds nobody's files, and each job says when its costs come from one."""
    try:
        own = _read_prices(s3, inbox)
    except ObjectNotFound:
        return FoundPrices(shipped_prices())
    except InputError as error:
        problem = " ".join(str(error).split()).rstrip(".")
        return FoundPrices(shipped_prices(), (f"{problem}. {_NOT_USED}",))
    return FoundPrices(own, (_USED,))


def _read_prices(s3: S3, inbox: str) -> PriceList:
    try:
        return parse_prices(_read_small(s3, inbox, PRICES_KEY, _MAX_BYTES), shipped_prices())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{PRICES_KEY}: {error}") from None


def _read_small(s3: S3, bucket: str, key: str, max_bytes: int) -> bytes:
    data = b"".join(s3.stream(bucket, key, end=max_bytes + 1))
    if len(data) > max_bytes:
        raise InputError(f"{key} is longer than {max_bytes} bytes.")
    return data
