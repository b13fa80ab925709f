"""Folder settings: what an object ``sluice.yaml`` in the Inbox says about the files of its folder and those below.

    model: claude-haiku-5-5          of requests that name none
    max_tokens: 500                  likewise
    system: You sort reviews.        .csv and .txt only, as are the next four
    prompt: "Review: {review}"       {column} of a .csv, {line} of a .txt; {{ and }} stand for braces
    id_column: order                 a column with a custom_id for each row
    answer_column: answer            how the new column of results.csv is called
    schema: {type: object, ...}      JSON Schema of the answer; a column for each property. Each object in it is sent
                                     with "additionalProperties: false", which Claude asks for
    betas: [name, ...]               sent as anthropic-beta
    retry_max_tokens: 2000           answers that max_tokens cut off are asked for again with this many
    limits: {max_cost: 25, max_bad_share: 10, max_waves: 3}

The nearest one counts, alone. Parsing is pure; ``pinned`` finds the object. Aliases of YAML (``*name``) are refused:
a few lines of them are gigabytes when they are written out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from sluice.claude.batches import MODEL_ID
from sluice.errors import InputError
from sluice.jobs.formats.request_line import MAX_TOKENS
from sluice.jobs.schema import close_objects

FILE_NAME = "sluice.yaml"
DEFAULT_ANSWER_COLUMN = "answer"

_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=1, le=MAX_TOKENS)]
_Model = Annotated[str, Meta(pattern=MODEL_ID)]
# What may stand in a header, in a list that commas divide.
_Beta = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,100}\Z")]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars (estimated), percent, rounds. None: as the stack has it."""

    max_cost: Annotated[float, Meta(gt=0)] | None = None
    max_bad_share: Annotated[float, Meta(ge=0, le=100)] | None = None
    max_waves: _Count | None = None


class FolderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a ``sluice.yaml`` says; see the module. None: it says nothing about it."""

    model: _Model | None = None
    max_tokens: _Tokens | None = None
    system: _Text | None = None
    prompt: _Text | None = None
    id_column: _Text | None = None
    answer_column: _Text = DEFAULT_ANSWER_COLUMN
    schema: dict[str, Any] | None = None
    betas: Annotated[tuple[_Beta, ...], Meta(max_length=20)] = ()
    retry_max_tokens: _Tokens | None = None
    limits: Limits = Limits()


_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")
_PATTERN = re.compile(r"matching regex '.*'")


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]  # PyYAML has no types for it
            where = f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"
            raise InputError(f"{where}: an alias (*{event.anchor[:50]}) is not taken; write out what it stands for")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def parse_folder_settings(text: bytes, key: str) -> FolderSettings:
    """Read a ``sluice.yaml``. Raises InputError that says what is wrong with the object ``key``, and where."""
    try:
        values = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader that takes less
    except InputError as error:
        raise InputError(f"{key}: {error}.") from None
    except yaml.YAMLError as error:
        raise InputError(f"{key} is not YAML: {_yaml_problem(error)}.") from None
    except (RecursionError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError):
        # What PyYAML raises for a value that is not of the type of its tag (!!timestamp x), and for endless nesting.
        raise InputError(f"{key} is not YAML that can be read.") from None
    try:
        settings = msgspec.convert({} if values is None else values, FolderSettings)
    except msgspec.ValidationError as error:
        raise InputError(f"{key}: {_problem(str(error))}.") from None
    _check_values(settings, key)
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
    what = _PATTERN.sub("that is a name: letters without accents, digits, dots, - and _, and no space", what)
    what = what[:1].lower() + what[1:]
    if "there is no setting" in what:
        what += f"; there are: {', '.join((Limits if where else FolderSettings).__struct_fields__)}"
    return f"{where}: {what}" if where else what


def _check_values(settings: FolderSettings, key: str) -> None:
    """Raise InputError for a value that could not be read again from the JSON in which a job's settings are kept."""
    for name in settings.__struct_fields__:
        try:
            msgspec.json.encode(getattr(settings, name))
        except UnicodeEncodeError:
            raise InputError(f"{key}: {name}: has half a character, such as \\ud800, which is no text.") from None
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise InputError(f"{key}: {name}: cannot be written as JSON.") from None
    if not math.isfinite(settings.limits.max_cost or 0):
        raise InputError(f"{key}: limits.max_cost: has to be a number of US dollars; leave it out for no limit.")


def _check_schema(schema: Mapping[str, Any], key: str) -> None:
    # Claude API: Structured outputs. The answer is an object, and what is not listed may not appear in it.
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise InputError(f'{key}: schema: has to be a JSON Schema with "type: object" and "properties".')
    try:
        close_objects(schema)
    except ValueError as error:
        raise InputError(f"{key}: {error}.") from None
    except RecursionError:
        raise InputError(f"{key}: schema: is nested too deeply.") from None
