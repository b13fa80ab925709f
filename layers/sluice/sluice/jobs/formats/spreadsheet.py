"""What a spreadsheet makes of a cell of a CSV file: text, or a formula that it calculates. Pure.

Excel and LibreOffice take a cell for a formula where it begins with "=", and where it begins with "+", "-" or "@" and
what follows is an expression; an answer must not run one, such as ``+cmd|' /C calc'!A0`` (OWASP: CSV Injection). A list
("- cheap"), a telephone number or a name with an "@" is none, and stays as it was written.
"""

from __future__ import annotations

import re

_MARKS = "=+-@"
# The same in full width, which spreadsheets of East Asia read as these.
_FULL_WIDTH_MARKS = "\uff1d\uff0b\uff0d\uff20"
_FULL_WIDTH = str.maketrans(_FULL_WIDTH_MARKS, _MARKS)
_BEGINNINGS = tuple(_MARKS + _FULL_WIDTH_MARKS)
# Of an expression: what has a value, what is between two of those, and brackets. A name alone has none in a CSV file.
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<call>[A-Za-z_.][\w.]*\()
      | (?P<outside>(?:'[^']*'|[\w.]+)!\$?[A-Za-z]{1,3}\$?\d)
      | (?P<cell>\$?[A-Za-z]{1,3}\$?\d+(?::\$?[A-Za-z]{1,3}\$?\d+)?(?!\w))
      | (?P<number>\d[\d.,]*%?|"[^"]*"|\{[^{}]*\})
      | (?P<name>\w[\w.]*)
      | (?P<open>\()
      | (?P<close>\))
      | (?P<operator>[-+*/^&=<>]{1,2}|@)
      | (?P<comma>[,;])
    )\s*""",
    re.VERBOSE,
)
# A call of another program (dynamic data exchange), wherever it stands.
_EXCHANGE = re.compile(r"[\w.]\s*\|\s*(?:'[^']*'|\S+?)\s*!\s*\S")
# An expression in a cell is longer than this only in an attack, and then its beginning says so.
_READ_CHARACTERS = 2_000


def as_text(value: str) -> str:
    """Return how to write a value so that a spreadsheet shows it: with an apostrophe where it would be calculated."""
    return f"'{value}" if is_formula(value) else value


def is_formula(value: str) -> bool:
    """Return whether a spreadsheet would calculate a cell. A number, even one with a sign, is none."""
    text = value.lstrip("\t\r\n \u3000")
    if not text.startswith(_BEGINNINGS):
        return False
    text = text.translate(_FULL_WIDTH)
    return text.startswith("=") or _EXCHANGE.search(text) is not None or _is_expression(text[:_READ_CHARACTERS])


def _is_expression(text: str) -> bool:
    """Return whether a text that begins with a sign reads as an expression that has a value other than itself."""
    position, depth, expects_value = 0, 0, True
    calculates, joined, valued = False, False, False
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            return False
        position, kind = found.end(), found.lastgroup
        if kind == "outside":
            # Of another sheet or file: what follows does not make it harmless.
            return True
        if kind in ("call", "open"):
            if not expects_value:
                return False
            depth, calculates = depth + 1, calculates or kind == "call"
        elif kind == "close":
            depth, expects_value = depth - 1, False
        elif kind in ("operator", "comma"):
            if kind == "comma" and depth < 1:
                return False
            joined, expects_value = joined or not expects_value, True
        else:
            if not expects_value:
                return False
            calculates, valued, expects_value = calculates or kind == "cell", valued or kind == "number", False
    return calculates or (joined and valued and not expects_value)
