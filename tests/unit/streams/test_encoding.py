"""What a person gets of an answer: its text, in whole characters."""

from __future__ import annotations

import json

import pytest

from sluice.http.errors import error_body
from sluice.streams.encoding import TextEncoder, whole_characters
from sluice.streams.errors import StreamCut

FOX = "\N{FOX FACE}"
HALVES = ("\ud83e", "\udd8a")
LOST = "\N{REPLACEMENT CHARACTER}"


def delta(text: str) -> bytes:
    data = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return f"event: content_block_delta\ndata: {json.dumps(data)}\n\n".encode()


def read(*texts: str) -> str:
    encoder = TextEncoder()
    return b"".join([*(encoder.encode([delta(text)]) for text in texts), encoder.end(None)]).decode()


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("a", "b"), "ab\n"),
        (("a\n",), "a\n"),
        ((f"a{FOX}",), f"a{FOX}\n"),
        (("a" + HALVES[0], HALVES[1] + "b"), f"a{FOX}b\n"),
        (("a" + HALVES[0], "", HALVES[1]), f"a{FOX}\n"),
        (("a" + HALVES[0], "b"), f"a{LOST}b\n"),
        (("a" + HALVES[0],), f"a{LOST}\n"),
        ((HALVES[1] + "a",), f"{LOST}a\n"),
        (("naïve", " 東京"), "naïve 東京\n"),
    ],
)
def test_text_comes_in_whole_characters(texts: tuple[str, ...], whole: str) -> None:
    assert read(*texts) == whole


def test_the_message_of_a_cut_may_have_half_a_character() -> None:
    cut = StreamCut("claude_error", "Busy " + HALVES[0], error_type="overloaded_error")

    assert TextEncoder().end(cut).decode() == f"[overloaded_error: Busy {LOST}]\n"


def test_an_error_in_the_apis_shape_may_have_half_a_character() -> None:
    body = error_body("api_error", "naïve " + HALVES[0], "r")

    assert json.loads(body)["error"]["message"] == "naïve " + HALVES[0]
    assert "naïve" in body.decode()


def test_whole_characters_stay() -> None:
    text = f"naïve 東京 {FOX}"

    assert whole_characters(text) == text
