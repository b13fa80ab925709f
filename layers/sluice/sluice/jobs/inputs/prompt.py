"""Prompt templates: text with {column} fields; {{ and }} stand for braces. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice.jobs.inputs.reasons import list_columns, shorten

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
    """Name the fields as the columns are named, whatever their case. Raises ValueError that says which is not there."""
    exact = {name: name for name in columns}
    loose = {name.casefold(): name for name in reversed(columns)}
    parts = list(template.parts)
    for place in range(1, len(parts), 2):
        name = exact.get(parts[place]) or loose.get(parts[place].casefold())
        if name is None:
            missing, listed = shorten(parts[place], 100), list_columns(columns)
            raise ValueError(f'the prompt names the column "{missing}", which is not there. There are: {listed}')
        parts[place] = name
    return Template(tuple(parts))
