"""Settings as people write them: what is read, and what they are told to write instead."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import InputError
from sluice.jobs.folder_settings import is_settings_name, parse_folder_settings

KEY = "reviews/sluice.yaml"


def problem_of(text: str | bytes, key: str = KEY) -> str:
    with pytest.raises(InputError) as raised:
        parse_folder_settings(text.encode() if isinstance(text, str) else text, key)
    return str(raised.value)


def read(text: str | bytes, key: str = KEY) -> Any:
    return parse_folder_settings(text.encode() if isinstance(text, str) else text, key).settings


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("prompt: {review}", 'prompt: "{review}"'),
        ("prompt: Review: {review}", 'prompt: "Review: {review}"'),
        ('prompt: "Mood" of {review}', r'prompt: "\"Mood\" of {review}"'),
        ("prompt: [urgent] {review}", 'prompt: "[urgent] {review}"'),
        ("prompt: *important* {review}", 'prompt: "*important* {review}"'),
        ("prompt: @all {review}", 'prompt: "@all {review}"'),
        ("prompt: `{review}`", 'prompt: "`{review}`"'),
        ("prompt: %{review}", 'prompt: "%{review}"'),
        ('system: "C:\\data"', "system: 'C:\\data'"),
        ("system: You work on ticket #5 of the shop", 'system: "You work on ticket #5 of the shop"'),
        ("limits: {max_cost: $5}", "max_cost: 5"),
        ("limits: {max_cost: 5 USD}", "max_cost: 5"),
        ("limits: {max_bad_share: 10%}", "max_bad_share: 10"),
        ("max_tokens: 600.0", "max_tokens: 600"),
        ('max_tokens: "600"', "max_tokens: 600"),
        ("model:claude-haiku-5-5", 'model: "claude-haiku-5-5"'),
        ("model = claude-haiku-5-5", 'model: "claude-haiku-5-5"'),
    ],
)
def test_a_line_that_cannot_be_meant_so_is_shown_as_it_should_be(line: str, right: str) -> None:
    assert f": {right}" in problem_of(f"{line}\n")
    name, _, value = right.partition(": ")
    written = f"limits: {{{right}}}" if line.startswith("limits") else right
    assert value.strip("'\"")
    assert yaml.safe_load(written)
    assert read(written) is not None, name


def test_settings_in_an_old_encoding_show_the_line() -> None:
    said = problem_of("model: m\nsystem: Du prüfst Größen.\n".encode("cp1252"))
    assert said.startswith(f"{KEY}: line 2 is not UTF-8, perhaps: system: Du prüfst Größen. - save the file once more")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_with_a_mark_or_in_utf_16_are_read(encoding: str) -> None:
    assert read("system: Du prüfst Größen.".encode(encoding)).system == "Du prüfst Größen."


def test_words_that_another_yaml_takes_for_something_else_are_words() -> None:
    settings = read(
        "system: yes\n"
        "id_column: 2024-01-31\n"
        "answer_column: 1.0\n"
        "schema:\n"
        "  properties:\n"
        "    happy: {type: string, enum: [yes, no, off, null, true, 1.0, 01, 2024-01-31, 12:30]}\n"
    )
    assert (settings.system, settings.id_column, settings.answer_column) == ("yes", "2024-01-31", "1.0")
    choices = settings.schema["properties"]["happy"]["enum"]
    assert choices == ["yes", "no", "off", "null", "true", "1.0", "01", "2024-01-31", "12:30"]


def test_numbers_where_numbers_are_wanted_stay_numbers() -> None:
    settings = read("schema: {properties: {n: {type: integer, enum: [1, 2]}}}\nmax_tokens: 600\n")
    assert settings.schema["properties"]["n"]["enum"] == [1, 2]
    assert settings.max_tokens == 600


@pytest.mark.parametrize("name", ["max_tokens", "max-tokens", "maxTokens", "Max Tokens", "MAX_TOKENS"])
def test_a_setting_is_known_however_its_name_is_written(name: str) -> None:
    assert read(f"{name}: 60").max_tokens == 60


def test_a_setting_that_stands_twice_is_refused() -> None:
    assert '"prompt" is set twice' in problem_of("prompt: a\nprompt: b\n")
    assert '"max_tokens" is set twice' in problem_of("max_tokens: 1\nmaxTokens: 2\n")
    assert '"model" is set twice' in problem_of('{"model": "a", "model": "b"}', "sluice.json")


@pytest.mark.parametrize("line", ["system: &co is a brand", "system: !wow", "system: *all"])
def test_signs_that_mean_something_to_yaml_are_pointed_out(line: str) -> None:
    assert "in quotes" in problem_of(line)


def test_tabs_are_pointed_out() -> None:
    assert "indent with spaces instead of tabs" in problem_of("limits:\n\tmax_cost: 5\n")


def test_a_comment_is_a_comment_and_is_noted_where_it_may_have_been_text() -> None:
    found = parse_folder_settings(b"model: m  # cheap\nsystem: Sort them # all\n", KEY)
    assert (found.settings.model, found.settings.system) == ("m", "Sort them")
    assert found.notes == (f'{KEY}: In line 2 the "#" begins a comment, so that the text ends before it: Sort them',)


def test_a_hash_in_quotes_or_in_a_block_is_text() -> None:
    assert read('system: "ticket #5"').system == "ticket #5"
    assert read("system: |\n  ticket #5\n").system == "ticket #5\n"


def test_json_is_read_as_json() -> None:
    values = {"model": "m", "maxTokens": 5, "limits": {"maxCost": 2}}
    settings = read(json.dumps(values, indent="\t"), "sluice.json")
    assert (settings.model, settings.max_tokens, settings.limits.max_cost) == ("m", 5, 2)
    assert "not JSON: Expecting" in problem_of('{"model": }', "a/sluice.json.txt")


@pytest.mark.parametrize(
    "name",
    ["sluice.yaml", "sluice.yml", "Sluice.YAML", "SLUICE.YML", "sluice.yaml.txt", "sluice.yml.txt", "sluice.json"],
)
def test_settings_are_known_by_the_names_that_editors_give_them(name: str) -> None:
    assert is_settings_name(name)


@pytest.mark.parametrize("name", ["sluice.txt", "my-sluice.yaml", "sluice.yaml.jsonl", "sluice", "sluice.csv"])
def test_other_names_are_files_to_run(name: str) -> None:
    assert not is_settings_name(name)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip))
def test_a_prompt_in_quotes_reads_back_whatever_is_in_it(prompt: str) -> None:
    assert read(json.dumps({"prompt": prompt}), "sluice.json").prompt == prompt


@given(st.binary(max_size=200), st.sampled_from(["sluice.yaml", "sluice.json"]))
def test_bytes_of_any_kind_are_read_or_refused_in_a_sentence(data: bytes, key: str) -> None:
    said = ""
    try:
        parse_folder_settings(data, key)
    except InputError as error:
        said = str(error)
    assert not said or (said.startswith(f"{key}: ") and said.endswith("."))


def test_params_are_anything_else_of_the_api() -> None:
    settings = read("params:\n  thinking: {type: enabled, budget_tokens: 2000}\n  output_config: {effort: low}\n")
    assert settings.params == {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "low"},
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("params: {model: m}", "params.model: cannot be set here; the setting model is for it"),
        ("params: {messages: []}", "the setting prompt is for it"),
        ("params: {stream: true}", "a batch gives no stream"),
        ("system: a\nparams: {system: b}", "params.system: is set beside system"),
        (
            "schema: {properties: {a: {type: string}}}\nparams: {output_config: {format: {}}}",
            "params.output_config.format: is set beside schema",
        ),
        ("anthropic_version: newest", "anthropic_version: has to be a text"),
    ],
)
def test_what_has_a_setting_of_its_own_is_not_set_twice(text: str, says: str) -> None:
    assert says in problem_of(text)
