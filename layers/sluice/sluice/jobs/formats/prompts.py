"""From a prompt to a request, for those who write no JSON: the rest comes from the folder's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sluice.claude.versions import needs_older
from sluice.claude.worst_case import RequestBound, bound_request
from sluice.errors import InputError
from sluice.jobs.folder_settings import FILE_NAME, FolderSettings
from sluice.jobs.formats.appraise import Appraisal
from sluice.jobs.formats.check import BadLine, GoodLine, LineRules
from sluice.jobs.formats.refusals import check_params
from sluice.jobs.formats.request_line import LineProblem, check_custom_id
from sluice.jobs.job_settings import EffectiveSettings
from sluice.jobs.requests import write_request
from sluice.jobs.schema import prepare_schema
from sluice.jobs.wording import list_columns, shorten
from sluice.settings import DEFAULT_MAX_TOKENS

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """``parts`` alternate between text and the names of fields, text first and last."""

    parts: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def fill(self, values: Mapping[str, str]) -> str:
        """Put the values in; each field has to have one."""
        pieces = list(self.parts)
        pieces[1::2] = [values[name] for name in self.fields]
        return "".join(pieces)


def parse_template(text: str) -> Template:
    """Read a template. Raises ValueError that says which brace is alone."""
    parts, literal, position = [], "", 0
    for found in _PARTS.finditer(text):
        literal += text[position : found.start()]
        position = found.end()
        token = found[0]
        if token in ("{{", "}}"):
            literal += token[0]
        elif found[1] is None:
            raise ValueError(f'the prompt has a lone "{token}"; write "{token * 2}" for a brace')
        else:
            parts += [literal, found[1].strip()]
            literal = ""
    return Template((*parts, literal + text[position:]))


def match_fields(template: Template, columns: Sequence[str]) -> Template:
    """Name the fields as the columns are named, whatever their case.

    Raises ValueError that says which is not there, or that the prompt would ask each row the same.
    """
    exact = {name: name for name in columns}
    loose = {name.casefold(): name for name in reversed(columns)}
    parts = list(template.parts)
    for place in range(1, len(parts), 2):
        name = exact.get(parts[place]) or loose.get(parts[place].casefold())
        if name is None:
            raise ValueError(_missing(parts[place], columns))
        parts[place] = name
    _refuse_prompt_without_columns(template, loose, columns)
    return Template(tuple(parts))


# What stands between double braces in the template, with one of them left.
_BRACED = re.compile(r"\{\s*([^{}]+?)\s*\}")


def _missing(field: str, columns: Sequence[str]) -> str:
    listed = list_columns(columns)
    shown = shorten(field, 100)
    if any(mark in field for mark in "\"':,\n"):
        return (
            f"the prompt has {{{shown}}}, which is no column. If it is text, write {{{{{shown}}}}}. Columns: {listed}"
        )
    return f'the prompt names the column "{shown}", which is not there. There are: {listed}'


def _refuse_prompt_without_columns(template: Template, loose: Mapping[str, str], columns: Sequence[str]) -> None:
    for literal in template.parts[::2]:
        for found in _BRACED.finditer(literal):
            if name := loose.get(found[1].casefold()):
                shown = shorten(name, 100)
                raise ValueError(
                    f"the prompt has {{{{{shown}}}}}, which stands for text; for the column write {{{shown}}}"
                )
    if not template.fields:
        example = shorten(columns[-1], 100) if columns else "line"
        raise ValueError(
            "the prompt names no column, so that each row would be asked the same; write the name of a column in "
            f"braces where its text belongs, such as {{{example}}}. There are: {list_columns(columns)}"
        )


_ENCODER = msgspec.json.Encoder()


def settings_problem(effective: EffectiveSettings, problem: object) -> InputError:
    """Return what is wrong with the settings for a file, and where they are."""
    return InputError(f"{effective.folder_key or FILE_NAME}: {problem}.")


class PromptWriter:
    """Writes requests. Raises InputError where the settings lack a model, or name one that cannot do the work."""

    def __init__(self, effective: EffectiveSettings, rules: LineRules) -> None:
        folder = effective.folder
        self._model = effective.model
        self._max_tokens = folder.max_tokens or DEFAULT_MAX_TOKENS
        self._max_bytes = rules.max_bytes
        if not self._model:
            raise settings_problem(effective, "neither it nor the stack says which model is to be asked")
        if problem := rules.model_problem(self._model, self._max_tokens):
            raise settings_problem(effective, problem.rstrip("."))
        self._params = _common_params(folder, self._model, self._max_tokens)
        if rules.params_problem and (problem := rules.params_problem(self._params)):
            raise settings_problem(effective, problem.rstrip("."))
        try:
            check_params({**self._params, "messages": [{"role": "user", "content": "."}]}, rules.version)
        except LineProblem as refused:
            raise settings_problem(effective, refused.reason.rstrip(".")) from None
        self._appraiser = rules.appraiser
        self._bound = bound_request(self._params)
        self._older = needs_older(self._params)
        self._is_text = self._bound == RequestBound(models=frozenset((self._model,))) and not self._older

    def write(self, number: int, custom_id: str, prompt: str, given: str) -> GoodLine | BadLine:
        """Make a request of a prompt; ``given`` is the line or row of the file, to be shown where it cannot run."""
        try:
            check_custom_id(custom_id)
            text = self._encode(custom_id, prompt)
            appraisal = self._appraise(len(text))
            return GoodLine(number, 0, 0, text, custom_id, self._model, self._max_tokens, appraisal=appraisal)
        except LineProblem as problem:
            return unusable(number, given, problem)

    def _appraise(self, length: int) -> Appraisal | None:
        """Price a request by its length; None where it is plain text."""
        most = self._appraiser.plain_bytes
        if self._is_text and (most is None or length < most):
            return None
        appraisal = self._appraiser.price(self._bound, length, self._model, self._max_tokens)
        return replace(appraisal, older=self._older)

    def _encode(self, custom_id: str, prompt: str) -> bytes:
        if not prompt.strip():
            raise LineProblem("empty prompt", "The prompt is empty.")
        params = {**self._params, "messages": [{"role": "user", "content": prompt}]}
        try:
            text = write_request(custom_id, _ENCODER.encode(params))
        except UnicodeEncodeError:
            raise LineProblem("encoding", "There are bytes in it that are not of the file's encoding.") from None
        if len(text) > self._max_bytes:
            raise LineProblem("too long", f"The request has {len(text)} bytes, more than {self._max_bytes}.")
        return text


def _common_params(folder: FolderSettings, model: str, max_tokens: int) -> dict[str, Any]:
    """Return what all requests of a file have in common: all but their messages."""
    params: dict[str, Any] = {"model": model, "max_tokens": max_tokens, **(folder.params or {})}
    if folder.system:
        params["system"] = folder.system
    if folder.schema:
        # Claude API: Structured outputs.
        form = {"type": "json_schema", "schema": prepare_schema(folder.schema)[0]}
        params["output_config"] = {**(params.get("output_config") or {}), "format": form}
    return params


def unusable(number: int, given: str, problem: LineProblem) -> BadLine:
    """Make the rejection of a line or row."""
    text = given.encode(errors="surrogateescape")
    return BadLine(number, None, len(text), text, problem)


def template_of(effective: EffectiveSettings) -> Template | None:
    """Read the folder's prompt template; None where there is none. Raises InputError."""
    if effective.folder.prompt is None:
        return None
    try:
        return parse_template(effective.folder.prompt)
    except ValueError as error:
        raise settings_problem(effective, error) from None
