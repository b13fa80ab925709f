"""Folder settings: what an object ``sluice.yaml`` in the Inbox says about the files of its folder and those below.

    model: claude-haiku-5-5          of requests that name none
    max_tokens: 500                  likewise
    system: You sort reviews.        .csv and .txt only, as are the next four
    prompt: "Review: {review}"       {column} of a .csv, {line} of a .txt; {{ and }} stand for braces
    id_column: order                 a column with a custom_id for each row
    answer_column: answer            how the new column of results.csv is called
    schema: {type: object, ...}      JSON Schema of the answer; a column for each property
    betas: [name, ...]               sent as anthropic-beta
    retry_max_tokens: 2000           answers that max_tokens cut off are asked for again with this many
    limits: {max_cost: 25, max_bad_share: 10, max_waves: 3}

The nearest one counts, alone. Parsing is pure; ``pinned`` finds the object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from sluice.errors import InputError

FILE_NAME = "sluice.yaml"
DEFAULT_ANSWER_COLUMN = "answer"

_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars (estimated), percent, rounds. None: as the stack has it."""

    max_cost: Annotated[float, Meta(gt=0)] | None = None
    max_bad_share: Annotated[float, Meta(ge=0, le=100)] | None = None
    max_waves: _Count | None = None


class FolderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a ``sluice.yaml`` says; see the module. None: it says nothing about it."""

    model: _Text | None = None
    max_tokens: _Count | None = None
    system: _Text | None = None
    prompt: _Text | None = None
    id_column: _Text | None = None
    answer_column: _Text = DEFAULT_ANSWER_COLUMN
    schema: dict[str, Any] | None = None
    betas: tuple[_Text, ...] = ()
    retry_max_tokens: _Count | None = None
    limits: Limits = Limits()


_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")


def parse_folder_settings(text: bytes, key: str) -> FolderSettings:
    """Read a ``sluice.yaml``. Raises InputError that says what is wrong with the object ``key``, and where."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{key} is not YAML: {_yaml_problem(error)}.") from None
    except (RecursionError, ValueError):
        raise InputError(f"{key} is not YAML that can be read.") from None
    try:
        settings = msgspec.convert({} if values is None else values, FolderSettings)
    except msgspec.ValidationError as error:
        raise InputError(f"{key}: {_problem(str(error))}.") from None
    if settings.schema is not None:
        _check_schema(settings.schema, key)
    return settings


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f"{problem} in line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


def _problem(text: str) -> str:
    """Say in words of the file what msgspec says about it."""
    found = _WHERE.search(text)
    where = found[1] if found else ""
    what = _WHERE.sub("", text).replace("Object contains unknown field", "there is no setting")
    what = what[:1].lower() + what[1:]
    if "there is no setting" in what:
        what += f"; there are: {', '.join((Limits if where else FolderSettings).__struct_fields__)}"
    return f"{where}: {what}" if where else what


def _check_schema(schema: Mapping[str, Any], key: str) -> None:
    # Claude API: Structured outputs. The answer is an object, and what is not listed may not appear in it.
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise InputError(f'{key}: schema: has to be a JSON Schema with "type: object" and "properties".')
    try:
        msgspec.json.encode(schema)
    except (TypeError, ValueError, RecursionError):
        raise InputError(f"{key}: schema: cannot be written as JSON.") from None
