"""The text of a settings file, as people write it: YAML or JSON to plain values, and what to write instead.

YAML is read as its version 1.2 says (YAML 1.2.2, 10.3 Core Schema): ``yes``, ``no``, ``on``, ``off``, dates and
``1:30`` are text, which is what a person means by them. Where a text is wanted, a number is taken as it was written.
Aliases (``*name``) are refused: a few lines of them are gigabytes when they are written out. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_TEXT_TAG = "tag:yaml.org,2002:str"
_NULL_TAG = "tag:yaml.org,2002:null"
# A line "name: value" of a file written by hand, with a colon or the equals sign of other formats.
_ENTRY = re.compile(r"(?P<indent>[ \t]*)(?P<name>[A-Za-z_][\w-]*)[ \t]*(?P<sign>[:=])[ \t]*(?P<value>\S.*?)[ \t]*")
_COMMENT = re.compile(r"[ \t]+#(?P<rest>.*)")
_MAX_SHOWN = 160
_NUMBER = re.compile(r"[-+\d._]+")
# Texts in which a "#" may well be meant.
_FREE_TEXTS = frozenset({"system", "prompt"})


class SettingsProblem(ValueError):
    """What is wrong with a settings file: a sentence without its end, with the line to write where there is one."""


@dataclass(frozen=True, slots=True)
class SettingsText:
    """The values of a file, with the names of settings in small letters; ``notes`` say what a person should know."""

    values: Any
    notes: tuple[str, ...] = ()


def read_settings_text(data: bytes, is_json: bool, text_names: Container[str]) -> SettingsText:
    """Read a settings file; ``text_names`` are the settings that are texts. Raises SettingsProblem."""
    text = _decode(data)
    if is_json:
        return SettingsText(_plain_names(_read_json(text)))
    try:
        return _read_yaml(text, text_names)
    except SettingsProblem:
        raise
    except yaml.YAMLError as error:
        raise SettingsProblem(_yaml_problem(error, text)) from None
    except (RecursionError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError):
        # What PyYAML raises for a value that is not of the type of its tag (!!timestamp x), and for endless nesting.
        raise SettingsProblem("it is not YAML that can be read") from None


def corrected_line(text: str, name: str | None = None) -> str | None:
    """Return how the line that sets ``name`` (or anything) may be written, its value a text; None where none does."""
    for line in text.splitlines():
        found = _ENTRY.fullmatch(line)
        if found and name in (None, plain_name(found["name"])):
            return _quoted(line)
    return None


def plain_name(name: str) -> str:
    """Return the name of a setting as it is documented, of ``maxTokens``, ``Max-Tokens`` or ``max tokens``."""
    with_bars = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s-]+", "_", with_bars).lower()


def _plain_names(values: Any) -> Any:
    """Write the names of settings as they are documented. Raises SettingsProblem where two then are one."""
    if not isinstance(values, dict):
        return values
    named: dict[Any, Any] = {}
    for name, value in values.items():
        key = plain_name(name) if isinstance(name, str) else name
        if key in named:
            raise SettingsProblem(f'"{key}" is set twice; keep one of the two')
        named[key] = _plain_names(value) if key == "limits" else value
    return named


def _decode(data: bytes) -> str:
    """Read UTF-8, or UTF-16 with a mark, as editors save. Raises SettingsProblem that names the line."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        line = data.split(b"\n")[number - 1].decode("cp1252", "replace").strip()
        raise SettingsProblem(
            f"line {number} is not UTF-8, perhaps: {line[:_MAX_SHOWN]} - save the file once more as UTF-8"
        ) from None


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise SettingsProblem(f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise SettingsProblem("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsProblem(f'"{twice}" is set twice; keep one of the two')
    return values


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2, without aliases."""

    # Filled below; SafeLoader's own resolvers are those of YAML 1.1.
    yaml_implicit_resolvers = {}  # noqa: RUF012  declared by the base class

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML has no types for it
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            where = f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"
            if isinstance(event, yaml.AliasEvent):
                raise SettingsProblem(
                    f"{where}: an alias (*{anchor[:50]}) is not taken; write out what it stands for, "
                    f"or put a text that begins with * in quotes"
                )
            if isinstance(event, yaml.ScalarEvent):
                raise SettingsProblem(
                    f"{where}: an anchor (&{anchor[:50]}) is not taken; put a text that begins with & in quotes"
                )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SettingsProblem(f'"{twice}" is set twice in line {node.start_mark.line + 1} and below; keep one')
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")
)
_Loader.add_implicit_resolver(_NULL_TAG, re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
    list("-+0123456789."),
)


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def _read_yaml(text: str, text_names: Container[str]) -> SettingsText:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return SettingsText(None)
        notes = tuple(_prepare(root, text.splitlines(), text_names))
        return SettingsText(_plain_names(loader.construct_document(root)), notes)
    finally:
        loader.dispose()


def _prepare(root: yaml.Node, lines: list[str], text_names: Container[str]) -> Iterator[str]:
    """Take what is written where a text is wanted as text; yield notes of texts that a ``#`` cuts."""
    for name, value in _entries(root):
        if plain_name(name) in text_names and isinstance(value, yaml.ScalarNode):
            _take_as_text(value)
            if plain_name(name) in _FREE_TEXTS:
                yield from _comment_notes(value, lines)
        elif plain_name(name) == "schema":
            _keep_words(value)


def _take_as_text(value: yaml.ScalarNode) -> None:
    if value.tag.startswith("!"):
        line = value.start_mark.line + 1
        raise SettingsProblem(
            f"line {line}: {value.tag[:50]} is a tag in YAML; put a text that begins with ! in quotes"
        )
    if value.tag != _NULL_TAG:
        value.tag = _TEXT_TAG


def _entries(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield str(key.value), value


def _keep_words(node: yaml.Node) -> None:
    """Take the choices of a text in a schema as they are written: ``[true, 1.0]`` under ``type: string`` are words."""
    entries = dict(_entries(node))
    kind = entries.get("type")
    if isinstance(kind, yaml.ScalarNode) and kind.value == "string":
        for choice in _scalars(entries.get("enum"), entries.get("const")):
            choice.tag = _TEXT_TAG
    children = node.value if isinstance(node, yaml.SequenceNode) else entries.values()
    for child in children:
        _keep_words(child)


def _scalars(*nodes: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    for node in nodes:
        for each in node.value if isinstance(node, yaml.SequenceNode) else (node,):
            if isinstance(each, yaml.ScalarNode):
                yield each


def _comment_notes(value: yaml.ScalarNode, lines: list[str]) -> Iterator[str]:
    """Yield a note that a ``#`` ends a text without quotes. Raises SettingsProblem where it can be no comment (#5)."""
    line = value.end_mark.line
    if value.style is not None or line >= len(lines):
        return
    found = _COMMENT.match(lines[line], value.end_mark.column)
    if found is None:
        return
    what = f'in line {line + 1} the "#" begins a comment, so that the text ends before it'
    right = _quoted(lines[line])
    if found["rest"][:1].strip() and right:
        raise SettingsProblem(f"{what}; if it belongs to the text, write: {right}; if not, put a space after the #")
    yield f"{what[0].upper()}{what[1:]}: {str(value.value)[-60:]}"


def _quoted(line: str) -> str | None:
    """Write ``name: value`` with its value in quotes; None where that would not be read as it stands."""
    found = _ENTRY.fullmatch(line)
    if found is None or _NUMBER.fullmatch(found["value"]):
        return None
    value = found["value"]
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
        mark = "'" if "\\" in value else '"'
        quoted = f"{mark}{value.replace(mark, mark * 2 if mark == chr(39) else chr(92) + mark)}{mark}"
    else:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        quoted = f'"{escaped}"'
    right = f"{found['indent']}{found['name']}: {quoted}"
    return right.strip() if len(right) <= _MAX_SHOWN and _reads_back(right) else None


def _reads_back(line: str) -> bool:
    try:
        read = yaml.load(line, _Loader)  # noqa: S506  a SafeLoader that takes less
    except (yaml.YAMLError, SettingsProblem, ValueError):
        return False
    return isinstance(read, Mapping) and all(isinstance(value, str) for value in read.values())


def _yaml_problem(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    if mark is None:
        return f"it is not YAML: {problem}"
    lines = text.splitlines()
    said = f"it is not YAML: {problem} in line {mark.line + 1}, column {mark.column + 1}"
    if mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1] and "\\t" in problem:
        return f"{said}; indent with spaces instead of tabs"
    # Some mistakes are noticed only in the line below.
    for number in (mark.line, mark.line - 1):
        if 0 <= number < len(lines) and (right := _quoted(lines[number])) and right != lines[number].strip():
            return f"{said}. Put the text in quotes; line {number + 1} then is: {right}"
    return said
