"""The table that comes back: the rows that were dropped, each with what became of it."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.claude.prices import shipped_prices
from sluice.jobs.finish.results_csv import AnswerForm, Outputs, write_rows
from sluice.jobs.folder_settings import FolderSettings
from sluice.jobs.formats.csv import CsvFile
from sluice.jobs.job_settings import merge_settings
from sluice.settings import JobSettings
from tests.unit.jobs.memory_s3 import memory_objects

FIVE = {
    "mood": {"type": "string"},
    "score": {"type": "integer"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "none": {"type": "null"},
    "absent": {"type": "string"},
}


def answer(custom_id: str, text: str, output: int = 5, **message: object) -> bytes:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]
    usage = {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": output}
    return json.dumps(
        {
            "custom_id": custom_id,
            "result": {"type": "succeeded", "message": {"content": content, "usage": usage, **message}},
        }
    ).encode()


def error(custom_id: str, result: Mapping[str, object]) -> bytes:
    return json.dumps({"custom_id": custom_id, "params": {}, "result": result}).encode()


def outputs(
    ids: Sequence[str], results: Sequence[bytes] = (), errors: Sequence[bytes] = (), rejected: Sequence[bytes] = ()
) -> Outputs:
    return Outputs(iter(ids), iter(results), iter(errors), iter(rejected))


def form(properties: Mapping[str, object] | None = None, max_tokens: int = 600) -> AnswerForm:
    settings = FolderSettings(schema={"type": "object", "properties": dict(properties)} if properties else None)
    settings = msgspec.structs.replace(settings, max_tokens=max_tokens)
    return AnswerForm.of(merge_settings(JobSettings(table="t"), settings, None, shipped_prices()))


def rows(
    text: bytes, given: Outputs, asked: AnswerForm | None = None, misfits: Counter[str] | None = None
) -> list[list[str]]:
    table = CsvFile([text])
    objects, s3 = memory_objects()
    (file,) = table.files()
    with objects.writer("outbox", file.name) as writer:
        write_rows(table, given, asked or form(), Counter() if misfits is None else misfits, [file.begin(writer)])
    written = s3.objects["outbox", file.name].decode()
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


def test_a_new_column_whose_name_is_a_formula_is_shown_as_text() -> None:
    name = '=HYPERLINK("https://x","a")'

    header, *_ = rows(b"a\n1\n", outputs(["x"]), form({name: {"type": "string"}}))

    assert header[:2] == ["a", f"'{name}"]


def test_properties_come_as_they_read_and_others_as_json() -> None:
    text = json.dumps({"mood": "glad", "score": 7, "tags": ["a", "b"], "none": None, "absent": ""})
    table = rows(b"q\n1\n", outputs(["a"], [answer("a", text)]), form(FIVE))
    assert table[1][1:6] == ["glad", "7", '["a","b"]', "", ""]


def test_an_answer_that_is_not_whole_has_a_status_of_its_own_that_says_why() -> None:
    results = [
        answer("a", "Half a", stop_reason="max_tokens"),
        answer("b", "I cannot help.", stop_reason="refusal", stop_details={"explanation": "It is about cyber."}),
        answer("c", "Let me look", stop_reason="pause_turn"),
        answer("d", "Long", stop_reason="model_context_window_exceeded"),
        answer("e", "Whole", stop_reason="end_turn"),
        answer("f", "Whole", stop_reason="stop_sequence"),
    ]
    table = rows(b"q\n1\n2\n3\n4\n5\n6\n", outputs("abcdef", results))[1:]
    assert [row[1] for row in table] == ["Half a", "I cannot help.", "Let me look", "Long", "Whole", "Whole"]
    assert [row[2] for row in table] == ["cut_off", "refused", "unfinished", "cut_off", "succeeded", "succeeded"]
    assert table[0][3] == "The answer was cut off: raise max_tokens (600) or set retry_max_tokens."
    assert "Claude says: It is about cyber." in table[1][3]
    assert all(row[3] for row in table[:4])
    assert [row[3] for row in table[4:]] == ["", ""]


def test_a_cut_off_answer_is_never_said_not_to_fit_the_schema() -> None:
    misfits = Counter[str]()
    results = [answer("a", '{"mood": "gl', stop_reason="max_tokens"), answer("b", "No.", stop_reason="refusal")]
    table = rows(b"q\n1\n2\n", outputs("ab", results), form({"mood": {"type": "string"}}), misfits)[1:]
    assert [row[1:3] for row in table] == [["", "cut_off"], ["", "refused"]]
    assert "JSON" not in table[0][3]
    assert not misfits


def test_an_answer_that_does_not_fit_the_schema_is_named_and_counted_with_the_cause() -> None:
    misfits = Counter[str]()
    texts = ['{"mood": "glad"}', "Glad.", '{"mood": 3}', '{"mood": 4}', '{"other": "x"}']
    results = [answer(name, text, stop_reason="end_turn") for name, text in zip("abcde", texts, strict=True)]
    table = rows(b"q\n1\n2\n3\n4\n5\n", outputs("abcde", results), form({"mood": {"type": "string"}}), misfits)[1:]
    assert [row[2] for row in table] == ["succeeded", *["schema_mismatch"] * 4]
    assert table[1][3] == "The answer does not fit the schema: it is not JSON. It is in results.jsonl as it came."
    assert table[2][1] == "3"
    assert misfits == {"it is not JSON": 1, '"mood" is integer, not string': 2, 'it lacks "mood"': 1}


def test_an_answer_that_is_nested_too_deep_stays_whole_and_its_row_says_so() -> None:
    deep = '{"mood":' + "[" * 100_000
    asked = form({"mood": {"type": "integer"}, "score": {"type": "integer"}})
    given = outputs(["a", "b"], [answer("a", deep), answer("b", '{"mood": 1, "score": 2}')])
    table = rows(b"q\n1\n2\n", given, asked)
    assert table[1][1:4] == [deep, "", "schema_mismatch"]
    assert "nested too deep to be taken apart" in table[1][4]
    assert table[2][1:5] == ["1", "2", "succeeded", ""]


def test_a_line_with_deep_parts_is_no_reason_to_stop() -> None:
    deep = answer("a", "yes").replace(
        b'{"type": "thinking"', b'{"type": "x", "input": %s%s}, {"type": "thinking"' % (b"[" * 100_000, b"]" * 100_000)
    )
    assert rows(b"q\n1\n", outputs(["a"], [deep]))[1][1:3] == ["yes", "succeeded"]


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
