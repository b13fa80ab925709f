"""Folder settings: what an object ``sluice.yaml`` in the Inbox says about the files of its folder and those below.

    model: claude-haiku-5-5          of requests that name none
    max_tokens: 500                  likewise
    system: You sort reviews.        .csv and .txt only, as are the next four
    prompt: "Review: {review}"       {column} of a .csv, {line} of a .txt; {{ and }} stand for braces
    id_column: order                 a column with a custom_id for each row
    answer_column: answer            how the new column of results.csv is called
    schema: {type: object, ...}      JSON Schema of the answer; a column for each property. Each object in it is sent
                                     with "additionalProperties: false", which Claude asks for
    params: {...}                    anything else of the Messages API, for each row: tools, thinking, output_config,
                                     inference_geo, mcp_servers, service_tier, system blocks with cache_control
    anthropic_version: 2023-06-01    the version of the API that the file is sent under
    betas: [name, ...]               sent as anthropic-beta
    retry_max_tokens: 2000           answers that max_tokens cut off are asked for again with this many
    limits: {max_cost: 25, max_bad_share: 10, max_waves: 3}

The nearest one counts, alone. It may also be called ``sluice.yml``, ``sluice.json``, or end in ``.txt`` as editors have
it, in capitals or not. Parsing is pure; ``job_settings`` finds the object, ``settings_text`` reads its text.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sluice.claude.batches import MODEL_ID
from sluice.errors import InputError
from sluice.jobs.formats.request_line import MAX_TOKENS
from sluice.jobs.schema import prepare_schema
from sluice.jobs.settings_text import SettingsProblem, corrected_line, read_settings_text

FILE_NAME = "sluice.yaml"
# As file managers and editors save it; the first that is there counts.
_FILE_NAME = re.compile(r"sluice\.(?:ya?ml|json)(?:\.txt)?", re.IGNORECASE)
DEFAULT_ANSWER_COLUMN = "answer"
# How settings are called that came with a job, and not from its folder.
GIVEN = "settings"

_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
_Model = Annotated[str, Meta(pattern=MODEL_ID)]
# What may stand in a header, in a list that commas divide.
_Beta = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,100}\Z")]
_Version = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """US dollars (estimated), percent, rounds. None: as the stack has it."""

    max_cost: Annotated[float, Meta(gt=0)] | None = None
    max_bad_share: Annotated[float, Meta(ge=0, le=100)] | None = None
    max_waves: _Count | None = None


class FolderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a ``sluice.yaml`` says; see the module. None: it says nothing about it.

    A job keeps what was said and no more, so that an earlier version can read it, too, where it knows these settings.
    """

    model: _Model | None = None
    max_tokens: _Tokens | None = None
    system: _Text | None = None
    prompt: _Text | None = None
    id_column: _Text | None = None
    answer_column: _Text = DEFAULT_ANSWER_COLUMN
    schema: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    anthropic_version: _Version | None = None
    betas: Annotated[tuple[_Beta, ...], Meta(max_length=20)] = ()
    retry_max_tokens: _Tokens | None = None
    limits: Limits = Limits()


# Settings that are texts: what stands there is taken as it is written, numbers too.
_TEXTS = frozenset({"model", "system", "prompt", "id_column", "answer_column", "anthropic_version"})
# What Sluice sets itself, or a setting has a name for.
_OWN_PARAMS = {
    "model": "the setting model",
    "max_tokens": "the setting max_tokens",
    "messages": "the setting prompt",
    "stream": "leave it out, since a batch gives no stream",
    "betas": "the setting betas",
    "anthropic_version": "the setting anthropic_version",
}


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Settings, and ``notes`` of how they were read that a person should know."""

    settings: FolderSettings
    notes: tuple[str, ...] = ()


def is_settings_name(name: str) -> bool:
    """Return whether a file of that name, without its folders, holds settings."""
    return _FILE_NAME.fullmatch(name) is not None


def parse_folder_settings(data: bytes, key: str, given: bytes | None = None) -> ReadSettings:
    """Read a ``sluice.yaml``. Raises InputError that says what is wrong in the object ``key``, where, what to write.

    ``given`` is a JSON object of settings that win over those of the object, name by name; a null takes one away.
    """
    where = f"{GIVEN} over {key}" if given else key
    try:
        text = read_settings_text(data, key.lower().removesuffix(".txt").endswith(".json"), _TEXTS)
        values = _overlaid(text.values, given) if given and isinstance(text.values, dict | None) else text.values
        settings, notes = _checked(values, data)
    except ValueError as error:
        raise InputError(f"{where}: {str(error).rstrip('.')}.") from None
    return ReadSettings(settings, tuple(f"{where}: {note}" for note in (*text.notes, *notes)))


def parse_given_settings(given: bytes) -> ReadSettings:
    """Read the settings that came with a job, a JSON object. Raises InputError as ``parse_folder_settings`` does."""
    try:
        settings, notes = _checked(_overlaid({}, given), given)
    except ValueError as error:
        raise InputError(f"{GIVEN}: {str(error).rstrip('.')}.") from None
    return ReadSettings(settings, tuple(f"{GIVEN}: {note}" for note in notes))


def _checked(values: Any, data: bytes) -> tuple[FolderSettings, tuple[str, ...]]:
    settings = _convert(values, data)
    _check_values(settings)
    _check_params(settings)
    return settings, _schema_notes(settings)


def _overlaid(values: dict[str, Any] | None, given: bytes) -> dict[str, Any]:
    """Lay settings over others. Of the limits, those stay that are not named."""
    over = read_settings_text(given, True, _TEXTS).values
    if not isinstance(over, dict):
        raise SettingsProblem("have to be a list of names and values")
    merged = {**(values or {}), **over}
    if isinstance(limits := (values or {}).get("limits"), dict) and isinstance(over.get("limits"), dict):
        merged["limits"] = {**limits, **over["limits"]}
    return {name: value for name, value in merged.items() if value is not None}


def _convert(values: Any, data: bytes) -> FolderSettings:
    if isinstance(values, str):
        right = corrected_line(values)
        hint = f", perhaps: {right}" if right else ", such as: model: claude-haiku-5-5"
        raise SettingsProblem(f"there is no setting in it; write a name, a colon, a space and the value{hint}")
    try:
        return msgspec.convert({} if values is None else values, FolderSettings)
    except msgspec.ValidationError as error:
        raise SettingsProblem(_problem(str(error), values, data)) from None


_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")
_PATTERN = re.compile(r"matching regex '.*'")
_EXPECTED = re.compile(r"expected `([a-z]+)(?: \| null)?`(?:, got `([a-z]+)`)?")
# The types of values, as people who write no programs call them.
_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a list of names and values",
    "array": "a list",
    "null": "nothing",
}
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
# A number with what people write around it: $5, 5 USD, 10 %, 1_000, 600.0.
_AMOUNT = re.compile(r"[^\d-]{0,4}(-?\d+(?:_\d{3})*(?:\.\d+)?)\s*[^\d.]{0,10}")


def _problem(text: str, values: Any, data: bytes) -> str:
    """Return what msgspec says about the file, in the words of the file, and how the line may be written."""
    found = _WHERE.search(text)
    where = found[1] if found else ""
    what = _WHERE.sub("", text)
    if unknown := _UNKNOWN.fullmatch(what):
        return _unknown_setting(where, unknown[1])
    what = _PATTERN.sub("that is a name: letters without accents, digits, dots, - and _, and no space", what)
    what = _EXPECTED.sub(_in_words, what[:1].lower() + what[1:])
    hint = _hint(where, values, data)
    return (f"{where}: {what}" if where else what) + (f"; write: {hint}" if hint else "")


def _in_words(found: re.Match[str]) -> str:
    said = f"has to be {_WORDS.get(found[1], found[1])}"
    return f"{said}, not {_WORDS.get(found[2], found[2])}" if found[2] else said


def _unknown_setting(where: str, name: str) -> str:
    names = (Limits if where else FolderSettings).__struct_fields__
    near = difflib.get_close_matches(name.lower(), names, 1)
    meant = f", perhaps {near[0]} is meant" if near else ""
    prefix = f"{where}: " if where else ""
    return f"{prefix}there is no setting `{name}`{meant}; there are: {', '.join(names)}"


def _hint(where: str, values: Any, data: bytes) -> str | None:
    """Return the line to write instead, where it is plain what was meant."""
    *_, name = where.split(".")
    if where in _TEXTS:
        right = corrected_line(data.decode("utf-8", "replace").removeprefix("\ufeff"), where)
        return right if right and not isinstance(values.get(where), str) else None
    given = values.get("limits", {}) if where.startswith("limits.") else values
    value = given.get(name) if isinstance(given, dict) else None
    amount = _AMOUNT.fullmatch(str(value).strip()) if isinstance(value, str | float) else None
    return f"{name}: {float(amount[1].replace('_', '')):.15g}" if amount else None


def _check_values(settings: FolderSettings) -> None:
    """Raise SettingsProblem for a value that could not be read again from the JSON that a job keeps of its settings."""
    for name in settings.__struct_fields__:
        try:
            msgspec.json.encode(getattr(settings, name))
        except UnicodeEncodeError:
            raise SettingsProblem(f"{name}: has half a character, such as \\ud800, which is no text") from None
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise SettingsProblem(f"{name}: cannot be written as JSON") from None
    if not math.isfinite(settings.limits.max_cost or 0):
        raise SettingsProblem("limits.max_cost: has to be a number of US dollars; leave it out for no limit")


def _check_params(settings: FolderSettings) -> None:
    params = settings.params or {}
    for name, instead in _OWN_PARAMS.items():
        if name in params:
            raise SettingsProblem(f"params.{name}: cannot be set here; {instead} is for it")
    if settings.system is not None and "system" in params:
        raise SettingsProblem("params.system: is set beside system; keep one of the two")
    if settings.schema is not None and "format" in (params.get("output_config") or {}):
        raise SettingsProblem("params.output_config.format: is set beside schema; keep one of the two")


def _schema_notes(settings: FolderSettings) -> tuple[str, ...]:
    if settings.schema is None:
        return ()
    try:
        return prepare_schema(settings.schema)[1]
    except RecursionError:
        raise SettingsProblem("schema: is nested too deeply") from None
