"""Files of people who write no JSON: tables and text, in whatever encoding."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sluice.claude.prices import shipped_prices
from sluice.errors import InputError, UnreadableInput
from sluice.jobs.folder_settings import FolderSettings
from sluice.jobs.formats import decoding
from sluice.jobs.formats.base import Position
from sluice.jobs.formats.check import BadLine, GoodLine, LineRules
from sluice.jobs.formats.csv import CsvFile, CsvInput
from sluice.jobs.formats.jsonl import JsonlInput
from sluice.jobs.formats.prompts import match_fields, parse_template
from sluice.jobs.formats.registry import KINDS, identify, kind_named
from sluice.jobs.formats.request_line import Defaults
from sluice.jobs.formats.txt import TxtInput
from sluice.jobs.job_settings import merge_settings
from sluice.jobs.model import Upload
from sluice.settings import JobSettings
from tests.unit.jobs.memory_s3 import memory_objects

MODEL = "claude-haiku-5-5"
RULES = LineRules(Defaults(), 10_000, lambda model, max_tokens: None, "row-{}".format)


def read(
    kind: type[CsvInput] | type[TxtInput],
    data: bytes,
    start: int = 0,
    rules: LineRules = RULES,
    default_model: str = MODEL,
    **folder: Any,
) -> list[GoodLine | BadLine]:
    settings = JobSettings(table="t", default_model=default_model)
    effective = merge_settings(settings, FolderSettings(**folder), "f/sluice.yaml", shipped_prices())
    chunks = [data[at : at + 7] for at in range(0, len(data), 7)]
    source = kind(lambda: iter(chunks), effective, rules)
    found: list[GoodLine | BadLine] = []
    for batch in source.batches(Position(0, start)):
        for item in batch.items:
            assert isinstance(item, GoodLine | BadLine)
            found.append(item)
        assert batch.position == Position(0, found[-1].number)
    return found


def prompts(found: list[GoodLine | BadLine]) -> dict[str, str]:
    """The prompts that are sent, by id."""
    sent = {}
    for each in found:
        assert isinstance(each, GoodLine)
        request = json.loads(each.text)
        assert request["custom_id"] == each.custom_id
        sent[each.custom_id] = request["params"]["messages"][0]["content"]
    return sent


def problems(found: list[GoodLine | BadLine]) -> list[tuple[int, str, str]]:
    return [(each.number, each.problem.reason, each.text.decode()) for each in found if isinstance(each, BadLine)]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a.jsonl", "jsonl"),
        ("x/A.JSONL.GZ", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.b.csv", "csv"),
        ("a.tsv.gz", "csv"),
        ("a.txt", "txt"),
    ],
)
def test_a_name_tells_the_kind_of_a_file(key: str, name: str) -> None:
    kind = kind_named(key)
    assert kind is not None
    assert kind.name == name


def test_no_two_kinds_have_a_name_or_a_suffix_in_common() -> None:
    names = [kind.name for kind in KINDS]
    suffixes = [suffix for kind in KINDS for suffix in kind.suffixes]
    assert len(set(names)) == len(names)
    assert len(set(suffixes)) == len(suffixes)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.CSV.GZ"])
@pytest.mark.parametrize("packed", [True, False])  # Browsers unpack a file, and keep its name.
def test_a_packed_file_is_unpacked_whatever_its_name(name: str, packed: bool) -> None:
    objects, s3 = memory_objects()
    data = b"order,review\n1,quick\n" * 100
    s3.objects["inbox", name] = gzip.compress(data) if packed else data
    dropped = identify(objects, Upload("inbox", name, None, "etag", 1))
    assert dropped.kind.name == "csv"
    assert dropped.source.gzipped is packed
    assert dropped.source.head == data
    assert b"".join(dropped.source.chunks(7)) == data[7:]


@pytest.mark.parametrize("key", ["a.xlsx", "a.json", "a", "jsonl", "a.gz", "a.jsonl.zip", "a.csv/b"])
def test_a_kind_that_cannot_be_read_is_answered_with_those_that_can(key: str) -> None:
    objects, s3 = memory_objects()
    s3.objects["inbox", key] = b"some text"
    with pytest.raises(UnreadableInput, match=r"\.jsonl, \.ndjson, \.csv, \.tsv, \.txt"):
        identify(objects, Upload("inbox", key, None, "etag", 1))


def test_a_row_becomes_a_request() -> None:
    found = read(
        CsvInput,
        b"name,review\nAnn,Good\n",
        prompt="{name} says: {review} {{so}}",
        system="Be brief.",
        max_tokens=50,
        schema={"type": "object", "properties": {"mood": {"type": "string"}}},
    )
    assert isinstance(found[0], GoodLine)
    assert json.loads(found[0].text) == {
        "custom_id": "row-1",
        "params": {
            "model": MODEL,
            "max_tokens": 50,
            "system": "Be brief.",
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {"mood": {"type": "string"}},
                        "required": ["mood"],
                        "additionalProperties": False,
                    },
                }
            },
            "messages": [{"role": "user", "content": "Ann says: Good {so}"}],
        },
    }


@pytest.mark.parametrize(
    "data",
    [
        "name;review\nAnn;Good, yes\nBo;Bad\n".encode("utf-8-sig"),
        b'name,review\r\nAnn,"Good, yes"\r\n,\r\nBo,Bad',
        b"name\treview\nAnn\tGood, yes\n\nBo\tBad\n",
        b"name|review|\nAnn|Good, yes|\nBo|Bad|\n",
        "name;review\nAnn;Good, yes\nBo;Bad\n".encode("utf-16"),
        b'"name","review"\n"Ann","Good, yes"\n"Bo","Bad"\n',
    ],
)
def test_tables_are_read_as_spreadsheets_save_them(data: bytes) -> None:
    found = read(CsvInput, data, prompt="{Name}: { review }")
    assert prompts(found) == {"row-1": "Ann: Good, yes", "row-2": "Bo: Bad"}


def test_quoted_newlines_stay_in_their_cell() -> None:
    assert prompts(read(CsvInput, b'id,prompt\n1,"a\r\nb"\n2,c\n')) == {"row-1": "a\r\nb", "row-2": "c"}


def test_an_encoding_that_is_not_marked_is_told_of() -> None:
    table = CsvFile([b"prompt\nGr\xfc\xdfe\n"])
    assert [row.cells for row in table.rows()] == [("Grüße",)]
    assert table.note == "The file is not UTF-8: it was read as Windows-1252."


def test_a_column_can_hold_the_ids() -> None:
    found = read(CsvInput, b"order,prompt\nA-1,a\n,b\nA 3,c\n", id_column="Order")
    assert prompts(found[:2]) == {"A-1": "a", "row-2": "b"}
    assert problems(found)[0][::2] == (3, "A 3,c")


def test_rows_that_cannot_run_are_put_aside() -> None:
    found = read(CsvInput, b"a,prompt\n1,x\n1,2,3\n1\n1,%s\n" % (b"y" * 10_000))
    assert prompts(found[:1]) == {"row-1": "x"}
    assert [each[:2] for each in problems(found)] == [
        (2, "The row has 3 cells, but there are 2 columns."),
        (3, "The prompt is empty."),
        (4, problems(found)[2][1]),
    ]
    assert "more than 10000" in problems(found)[2][1]


def test_bytes_that_are_not_of_the_encoding_are_shown_as_they_are() -> None:
    good = b"".join(b"prompt %d\n" % number for number in range(40_000))
    found = read(CsvInput, b"prompt\n" + good + b"\xff\n", start=39_999)
    assert [type(each) for each in found] == [GoodLine, BadLine]
    assert found[1].text == b"\xff"


def test_reading_goes_on_behind_the_rows_that_were_read() -> None:
    data = b"prompt\n" + b"".join(b"p%d\n" % number for number in range(1, 1200))
    assert prompts(read(CsvInput, data, start=700)) == {f"row-{number}": f"p{number}" for number in range(701, 1200)}


@pytest.mark.parametrize(
    ("data", "folder", "says"),
    [
        (b"a,b\n1,2\n", {}, 'f/sluice.yaml: there is no "prompt" for this table.*There are: a, b'),
        (b"a,b\n1,2\n", {"prompt": "{c}"}, 'names the column "c", which is not there. There are: a, b'),
        (b"a,a\n1,2\n", {"prompt": "{a}"}, 'names the column "a", which is there more than once'),
        (b"a,b\n1,2\n", {"prompt": "{a"}, 'lone "{"'),
        (b"a,b\n1,2\n", {"prompt": "{a}", "id_column": "id"}, '"id_column" is "id", which is not there'),
    ],
)
def test_settings_that_do_not_fit_a_table_say_which(data: bytes, folder: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(CsvInput, data, **folder)


def test_a_table_needs_a_model() -> None:
    with pytest.raises(InputError, match="which model is to be asked"):
        read(CsvInput, b"prompt\nx\n", default_model="")


def test_a_model_that_cannot_do_the_work_is_a_matter_of_the_settings() -> None:
    rules = LineRules(Defaults(), 10_000, lambda model, max_tokens: f"The model {model} was retired.")
    with pytest.raises(InputError, match=f"f/sluice.yaml: The model {MODEL} was retired."):
        read(TxtInput, b"x\n", rules=rules)


def test_an_empty_table_cannot_be_read() -> None:
    with pytest.raises(UnreadableInput, match="empty"):
        read(CsvInput, b"\n\n")


def test_a_quote_that_is_never_closed_is_pointed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.jobs.formats.csv.MAX_LINE_CHARACTERS", 1_000)
    with pytest.raises(UnreadableInput, match=r"line \d+.*quote"):
        read(CsvInput, b'prompt\n"x' + b"yyyyyyyyy\n" * 200)


@pytest.mark.parametrize("end", ["", "\n", "\nand on,and on\n"])
def test_a_quote_that_is_open_at_the_end_does_not_swallow_the_rest(end: str) -> None:
    table = CsvFile([b'name,text\n\none,"whole\nrow"\ntwo,"open', end.encode()])
    rows = table.rows()
    assert next(rows).cells == ("one", "whole\nrow")
    with pytest.raises(UnreadableInput, match="A quote in the row at line 5 is never closed"):
        next(rows)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_requests_in_utf_16_are_told_of(encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    data = (mark + '{"custom_id": "one"}\n').encode(encoding)
    with pytest.raises(UnreadableInput, match="UTF-16"):
        next(JsonlInput(lambda offset: iter([data[offset:]]), RULES, in_place=True).batches(Position()))


@pytest.mark.parametrize("kind", [CsvInput, TxtInput])
def test_a_line_that_never_ends_is_not_held(
    kind: type[CsvInput] | type[TxtInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_LINE_CHARACTERS", 50)
    data = b"prompt\n" + b"x" * 500 + b"\nlast\n"
    if kind is CsvInput:
        with pytest.raises(UnreadableInput, match="Line 2"):
            read(kind, data)
        return
    found = read(kind, data)
    assert [each.number for each in found if isinstance(each, BadLine)] == [2]
    assert prompts([found[0], found[2]]) == {"row-1": "prompt", "row-3": "last"}


def test_a_line_of_text_is_a_prompt() -> None:
    found = read(TxtInput, b"\xef\xbb\xbfOne\r\n\r\nTwo", prompt="Translate: {line}")
    assert prompts([found[0], found[2]]) == {"row-1": "Translate: One", "row-3": "Translate: Two"}
    assert problems(found) == [(2, "The line is empty.", "")]


def test_a_template_for_text_has_one_field() -> None:
    with pytest.raises(InputError, match='names the column "row"'):
        read(TxtInput, b"x\n", prompt="{row}")


@given(st.text(), st.lists(st.tuples(st.sampled_from(["a", "b c"]), st.text()), min_size=1))
def test_a_template_puts_values_where_the_fields_are(start: str, rest: list[tuple[str, str]]) -> None:
    def quoted(literal: str) -> str:
        return literal.replace("{", "{{").replace("}", "}}")

    written = quoted(start) + "".join("{" + name + "}" + quoted(after) for name, after in rest)
    assume(not re.search(r"\{\s*(a|b c)\s*\}", "".join([start, *(after for _, after in rest)]), re.IGNORECASE))
    values = {"a": "{1}", "b c": "2"}
    template = match_fields(parse_template(written), ["a", "b c"])
    assert template.fill(values) == start + "".join(values[name] + after for name, after in rest)


CELLS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)


@given(st.lists(CELLS, max_size=5), st.sampled_from(",;\t|"))
def test_a_table_reads_back_as_it_was_written(rows: list[list[str]], delimiter: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["one", "two"], *rows])
    table = CsvFile([written.getvalue().encode()])
    kept = [tuple(cells) for cells in rows if any(map(str.strip, cells))]
    assert [row.cells for row in table.rows()] == kept
    assert [next(csv.reader([table.write_row(cells)], delimiter=delimiter)) for cells in [("a", 'b"')]] == [["a", 'b"']]


COLUMNS = ("order", "Größe", "review")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("Say the mood.", "names no column, .* such as {review}. There are: order, Größe, review"),
        ("", "names no column"),
        ("Mood: {{review}}", "has {{review}}, which stands for text; for the column write {review}"),
        ("{order}: {{ Review }}", "has {{review}}"),
        ('{"mood": "happy"}. {review}', 'If it is text, write {{"mood": "happy"}}. Columns: order'),
        ("{revue}", 'names the column "revue", which is not there'),
    ],
)
def test_a_prompt_that_cannot_be_meant_so_says_what_to_write(prompt: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("{", "\\{").replace("}", "\\}")):
        match_fields(parse_template(prompt), COLUMNS)


def test_braces_around_what_is_no_column_are_text() -> None:
    template = match_fields(parse_template('{{"mood": "happy"}} {{other}} {review}'), COLUMNS)
    assert template.fill({"review": "x"}) == '{"mood": "happy"} {other} x'


def test_params_of_the_folder_are_in_each_request() -> None:
    params = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "system": [{"type": "text"}]}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    found = read(TxtInput, b"Hi\n", params=params, schema=schema)
    assert isinstance(found[0], GoodLine)
    sent = json.loads(found[0].text)["params"]
    assert sent["thinking"] == {"type": "adaptive"}
    assert sent["system"] == [{"type": "text"}]
    assert sent["output_config"]["effort"] == "low"
    assert sent["output_config"]["format"]["type"] == "json_schema"
    assert (sent["model"], sent["messages"][0]["content"]) == (MODEL, "Hi")
