"""From a prompt to a request, for those who write no JSON: the rest comes from the folder's settings."""

from __future__ import annotations

from typing import Any

import msgspec

from sluice.errors import InputError
from sluice.jobs.folder import FILE_NAME
from sluice.jobs.inputs.lines import BadLine, GoodLine, LineRules
from sluice.jobs.inputs.prompt import Template, parse_template
from sluice.jobs.inputs.request import LineProblem, check_custom_id
from sluice.jobs.inputs.schema import close_objects
from sluice.jobs.pinned import Pinned

DEFAULT_MAX_TOKENS = 1024
_ENCODER = msgspec.json.Encoder()


def settings_problem(pinned: Pinned, problem: object) -> InputError:
    """Say what is wrong with the settings for a file, and where they are."""
    return InputError(f"{pinned.folder_key or FILE_NAME}: {problem}.")


class PromptWriter:
    """Writes requests. Raises InputError where the settings lack a model, or name one that cannot do the work."""

    def __init__(self, pinned: Pinned, rules: LineRules) -> None:
        folder = pinned.folder
        self._model = pinned.model
        self._max_tokens = folder.max_tokens or DEFAULT_MAX_TOKENS
        self._max_bytes = rules.max_bytes
        if not self._model:
            raise settings_problem(pinned, "neither it nor the stack says which model is to be asked")
        if problem := rules.model_problem(self._model, self._max_tokens):
            raise settings_problem(pinned, problem.rstrip("."))
        self._params: dict[str, Any] = {"model": self._model, "max_tokens": self._max_tokens}
        if folder.system:
            self._params["system"] = folder.system
        if folder.schema:
            # Claude API: Structured outputs.
            form = {"type": "json_schema", "schema": close_objects(folder.schema)}
            self._params["output_config"] = {"format": form}

    def write(self, number: int, custom_id: str, prompt: str, given: str) -> GoodLine | BadLine:
        """Make a request of a prompt; ``given`` is the line or row of the file, to be shown where it cannot run."""
        try:
            check_custom_id(custom_id)
            return GoodLine(number, 0, 0, self._encode(custom_id, prompt), custom_id, self._model, self._max_tokens)
        except LineProblem as problem:
            return unusable(number, given, problem)

    def _encode(self, custom_id: str, prompt: str) -> bytes:
        if not prompt.strip():
            raise LineProblem("empty prompt", "The prompt is empty.")
        params = {**self._params, "messages": [{"role": "user", "content": prompt}]}
        try:
            text = _ENCODER.encode({"custom_id": custom_id, "params": params})
        except UnicodeEncodeError:
            raise LineProblem("encoding", "There are bytes in it that are not of the file's encoding.") from None
        if len(text) > self._max_bytes:
            raise LineProblem("too long", f"The request has {len(text)} bytes, more than {self._max_bytes}.")
        return text


def unusable(number: int, given: str, problem: LineProblem) -> BadLine:
    """Make the rejection of a line or row."""
    text = given.encode(errors="surrogateescape")
    return BadLine(number, None, len(text), text, problem)


def template_of(pinned: Pinned) -> Template | None:
    """Read the folder's prompt template; None where there is none. Raises InputError."""
    if pinned.folder.prompt is None:
        return None
    try:
        return parse_template(pinned.folder.prompt)
    except ValueError as error:
        raise settings_problem(pinned, error) from None
