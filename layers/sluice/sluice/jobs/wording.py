"""Sentences that quote what somebody has written, whatever that is: short enough to be stored and mailed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MAX_REASON = 500
_LISTED_CHARACTERS = 250
_MAX_NAME = 60


def shorten(text: str, most: int = MAX_REASON) -> str:
    """Cut a text in the middle, since what it is about stands at its beginning and what to do at its end.

    Half a character, as bytes of another encoding and ``\\ud800`` in JSON or YAML are read, cannot be stored: it
    becomes a question mark.
    """
    if len(text) > most:
        end = (most - 3) // 3
        text = f"{text[: most - 3 - end]} … {text[-end:]}"
    return text.encode(errors="replace").decode()


def list_columns(columns: Sequence[str]) -> str:
    """Name the columns of a table: all of them, or the first ones and how many more there are."""
    shown: list[str] = []
    room = _LISTED_CHARACTERS
    for column in columns:
        name = shorten(column, _MAX_NAME)
        room -= len(name) + 2
        if shown and room < 0:
            break
        shown.append(name)
    listed, more = ", ".join(shown), len(columns) - len(shown)
    return f"{listed} and {more} more columns" if more else listed
