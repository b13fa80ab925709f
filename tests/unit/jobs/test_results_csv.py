"""The table that comes back: the rows that were dropped, each with what became of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.jobs.finish.results_csv import Outputs, table_text
from sluice.jobs.formats.csv import CsvFile


def answer(custom_id: str, text: str, output: int = 5) -> bytes:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]
    usage = {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": output}
    return json.dumps(
        {"custom_id": custom_id, "result": {"type": "succeeded", "message": {"content": content, "usage": usage}}}
    ).encode()


def error(custom_id: str, result: Mapping[str, object]) -> bytes:
    return json.dumps({"custom_id": custom_id, "params": {}, "result": result}).encode()


def outputs(
    ids: Sequence[str], results: Sequence[bytes] = (), errors: Sequence[bytes] = (), rejected: Sequence[bytes] = ()
) -> Outputs:
    return Outputs(iter(ids), iter(results), iter(errors), iter(rejected))


def rows(text: bytes, given: Outputs, properties: Sequence[str] = (), column: str = "answer") -> list[list[str]]:
    table = CsvFile([text])
    written = "".join(table_text(table, given, column, properties))
    assert written.startswith("\ufeff")
    return list(csv.reader(io.StringIO(written[1:], newline=""), delimiter=table.delimiter))


def test_each_row_has_what_became_of_it() -> None:
    failed = {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "Oh."}}}
    given = outputs(
        ["a", "b", "c"],
        [answer("a", "yes")],
        [error("b", failed), error("c", {"type": "expired"})],
        [b'{"line": 2, "reason": "The prompt is empty.", "text": ""}'],
    )
    assert rows(b"q\n1\n2\n3\n4\n", given) == [
        ["q", "answer", "status", "error", "input_tokens", "output_tokens"],
        ["1", "yes", "succeeded", "", "7", "5"],
        ["2", "", "rejected", "The prompt is empty.", "", ""],
        ["3", "", "errored", "api_error: Oh.", "", ""],
        ["4", "", "expired", "", "", ""],
    ]


def test_a_row_without_any_result_is_not_passed_over() -> None:
    table = rows(b"q\n1\n2\n", outputs(["a", "b"], [answer("b", "yes")]))
    assert [row[2] for row in table[1:]] == ["missing", "succeeded"]


def test_new_columns_do_not_take_the_names_of_old_ones() -> None:
    header = rows(b"Answer;status;status_2\nx;y;z\n", outputs(["a"], [answer("a", "t")]))[0]
    assert header == ["Answer", "status", "status_2", "answer_2", "status_3", "error", "input_tokens", "output_tokens"]


def test_properties_come_as_they_read_and_others_as_json() -> None:
    text = json.dumps({"mood": "glad", "score": 7, "tags": ["a", "b"], "none": None, "more": 1})
    table = rows(b"q\n1\n", outputs(["a"], [answer("a", text)]), ("mood", "score", "tags", "none", "absent"))
    assert table[1][1:6] == ["glad", "7", '["a","b"]', "", ""]


def test_an_answer_that_is_nested_too_deep_stays_whole_and_its_row_says_so() -> None:
    deep = '{"mood":' + "[" * 100_000
    table = rows(b"q\n1\n2\n", outputs(["a", "b"], [answer("a", deep), answer("b", '{"mood": 1}')]), ("mood", "score"))
    assert table[1][1:5] == [deep, "", "succeeded", "The answer is nested too deep to be taken apart."]
    assert table[2][1:5] == ["1", "", "succeeded", ""]


def test_a_line_with_deep_parts_is_no_reason_to_stop() -> None:
    deep = answer("a", "yes").replace(
        b'{"type": "thinking"', b'{"type": "x", "input": %s%s}, {"type": "thinking"' % (b"[" * 100_000, b"]" * 100_000)
    )
    assert rows(b"q\n1\n", outputs(["a"], [deep]))[1][1:3] == ["yes", "succeeded"]


def test_a_formula_is_not_run_by_a_spreadsheet_and_numbers_stay() -> None:
    texts = ["=1+1", "+49 170", "- item", "@x", "-5", "+3.5", "\t=1", "plain = text"]
    ids = [str(number) for number in range(len(texts))]
    given = outputs(ids, [answer(custom_id, text) for custom_id, text in zip(ids, texts, strict=True)])
    table = rows(b"q\n" + b"x\n" * len(texts), given)
    assert [row[1] for row in table[1:]] == [
        "'=1+1",
        "'+49 170",
        "'- item",
        "'@x",
        "-5",
        "+3.5",
        "'\t=1",
        "plain = text",
    ]


def test_a_row_that_is_too_long_keeps_its_columns_apart() -> None:
    table = rows(b"q,r\n1,2,3\n", outputs([], rejected=[b'{"line": 1, "reason": "cells", "text": "1,2,3"}']))
    assert table[1][:4] == ["1", "2", "", "rejected"]


cells = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs")), min_size=1, max_size=8)


@settings(max_examples=60)
@given(st.lists(st.tuples(cells, st.sampled_from(["answer", "error", "rejected"])), min_size=1, max_size=12))
def test_the_columns_come_back_as_they_were_in_their_order(given_rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("q", "r"), *((cell, "x") for cell, _ in given_rows)])
    ids = [str(number) for number, (_, kind) in enumerate(given_rows) if kind != "rejected"]
    kinds = {str(number): kind for number, (_, kind) in enumerate(given_rows)}
    given = outputs(
        ids,
        [answer(each, "yes") for each in ids if kinds[each] == "answer"],
        [error(each, {"type": "expired"}) for each in ids if kinds[each] == "error"],
        [
            b'{"line": %d, "reason": "no", "text": ""}' % (int(each) + 1)
            for each, kind in kinds.items()
            if kind == "rejected"
        ],
    )
    table = rows(text.getvalue().encode(), given)[1:]
    assert [row[0] for row in table] == [cell for cell, _ in given_rows]
    words = {"answer": "succeeded", "error": "expired", "rejected": "rejected"}
    assert [row[3] for row in table] == [words[kind] for _, kind in given_rows]
