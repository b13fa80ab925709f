"""What a caller may send to ``POST /v1/jobs``: read once, here, into values that the rest can trust. Pure.

Either the file itself is the body, and the query says the rest, or the body is JSON that announces a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.aws.s3_links import MAX_OBJECT_BYTES
from sluice.callbacks.addresses import AddressPolicy, parse_callback_url
from sluice.errors import InputError, InvalidRequest, RequestTooLarge
from sluice.http.idempotency import fingerprint_of
from sluice.http.json_body import MAX_BODY_BYTES, metadata_field, read_object, text_field
from sluice.jobs.folder_settings import is_settings_name, parse_given_settings
from sluice.jobs.formats.registry import KINDS, kind_named
from sluice.jobs.plan.leftovers import COMMAND_TEXT, is_leftover
from sluice.jobs.tickets import announced_key

MAX_SETTINGS_BYTES = 256 * 1024
# S3: Object key naming guidelines. A key has at most 1,024 bytes.
_MAX_KEY_BYTES = 1024
_MAX_NAME, _MAX_URL = 255, 2048
_FIELDS = frozenset({"filename", "folder", "size", "settings", "callback_url", "metadata", "hold"})
_QUERY = frozenset({"filename", "folder", "callback_url", "hold"})
# What Lambda leaves in place of a byte that is no UTF-8, where it takes a body for text by its content type.
_REPLACED = "\ufffd".encode()


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job that is well formed. ``size`` in bytes; ``settings`` and ``metadata`` are JSON.

    ``file`` is the file itself, where it came with the request.
    """

    filename: str
    folder: str
    size: int
    fingerprint: str
    settings: bytes | None = None
    callback_url: str | None = None
    metadata: str | None = None
    hold: bool = False
    file: bytes | None = None


def parse_job_request(query: Mapping[str, str], body: bytes, policy: AddressPolicy, *, as_text: bool) -> JobRequest:
    """Read a request. Raises InvalidRequest naming the field, or RequestTooLarge.

    ``as_text``: the body came through Lambda as text.
    """
    if "filename" not in query:
        return _announced(read_object(body, _FIELDS), policy)
    if unknown := sorted(query.keys() - _QUERY):
        raise InvalidRequest(f"{unknown[0]}: no such parameter. Known are {', '.join(sorted(_QUERY))}.")
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(
            f"The file has {len(body)} bytes; at most {MAX_BODY_BYTES} are taken in a body. Announce a larger one with "
            "JSON, and send it by the link of the answer."
        )
    if as_text and _REPLACED in body:
        raise InvalidRequest(
            "The file has bytes that did not come through as text. Send it with the header "
            "content-type: application/octet-stream."
        )
    document = {**query, "hold": _flag(query.get("hold")), "size": len(body)}
    return _parse({**document, "sha256": hashlib.sha256(body).hexdigest()}, policy, body)


def _announced(document: dict[str, Any], policy: AddressPolicy) -> JobRequest:
    _filename(document)
    size = document.get("size")
    if type(size) is not int or not 0 <= size <= MAX_OBJECT_BYTES:
        raise InvalidRequest(f"size: has to be the bytes of the file, a whole number from 0 to {MAX_OBJECT_BYTES}.")
    if not isinstance(document.get("hold", False), bool):
        raise InvalidRequest("hold: has to be true or false.")
    return _parse(document, policy)


def _parse(document: dict[str, Any], policy: AddressPolicy, file: bytes | None = None) -> JobRequest:
    callback_url = text_field(document, "callback_url", _MAX_URL)
    if callback_url:
        parse_callback_url(callback_url, policy)
    filename, folder = _filename(document), _folder(document)
    if is_leftover(f"{folder}/{filename}"):
        raise InvalidRequest("folder: is one whose files are not run, such as __MACOSX.")
    if len(announced_key(folder, "x" * 64, filename).encode()) > _MAX_KEY_BYTES:
        raise InvalidRequest("folder: is too long together with the file name.")
    return JobRequest(
        filename=filename,
        folder=folder,
        size=document["size"],
        fingerprint=fingerprint_of(document),
        settings=_settings(document),
        callback_url=callback_url,
        metadata=metadata_field(document),
        hold=bool(document.get("hold")),
        file=file,
    )


def _flag(value: str | None) -> bool:
    if value not in (None, "", "true", "false"):
        raise InvalidRequest("hold: has to be true or false.")
    return value == "true"


def _filename(document: Mapping[str, Any]) -> str:
    name = text_field(document, "filename", _MAX_NAME)
    if not name:
        raise InvalidRequest("filename: is missing; its ending says how the file is read.")
    if "/" in name or name.startswith(".") or not name.isprintable():
        raise InvalidRequest("filename: has to be a name without a slash, not begin with a dot, and be printable.")
    if kind_named(name) is None:
        readable = ", ".join(suffix for kind in KINDS for suffix in kind.suffixes)
        raise InvalidRequest(f"filename: has to end in one of {readable}, or in one of them and .gz.")
    if is_settings_name(name):
        raise InvalidRequest("filename: is that of a settings file. Settings go into the field settings.")
    if is_leftover(name) or COMMAND_TEXT.fullmatch(name):
        raise InvalidRequest("filename: is one that is not run as a job in the Inbox. Choose another.")
    return name


def _folder(document: Mapping[str, Any]) -> str:
    folder = document.get("folder") or ""
    if not isinstance(folder, str) or not folder.isprintable():
        raise InvalidRequest("folder: has to be printable text.")
    folder = folder.strip("/")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise InvalidRequest('folder: has to be names with a slash between them, none of them empty, "." or "..".')
    return folder


def _settings(document: Mapping[str, Any]) -> bytes | None:
    settings = document.get("settings")
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise InvalidRequest("settings: have to be an object, of what a sluice.yaml says.")
    text = json.dumps(settings, ensure_ascii=False).encode()
    if len(text) > MAX_SETTINGS_BYTES:
        raise InvalidRequest(f"settings: are larger than {MAX_SETTINGS_BYTES} bytes.")
    try:
        parse_given_settings(text)
    except InputError as error:
        raise InvalidRequest(str(error)) from None
    return text
