"""Checking models before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.claude.batches import ModelInfo
from sluice.claude.prices import shipped_prices
from sluice.errors import AccountError, ClaudeError, InputError, TransientError
from sluice.jobs.folder_settings import FolderSettings
from sluice.jobs.job_settings import merge_settings
from sluice.jobs.plan.model_check import ModelCatalogue, ModelCheck
from sluice.settings import JobSettings

PRICES = shipped_prices()
NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
HAIKU = ModelInfo("claude-haiku-5-5", "active", None, 64_000, takes_batches=True)


class Claude:
    """The Models API; ``models`` by id, or the error that asking for it gives."""

    def __init__(self, **models: ModelInfo | ClaudeError) -> None:
        self.models = {name.replace("_", "-"): model for name, model in models.items()}
        self.asked: list[str] = []

    def model(self, model_id: str) -> ModelInfo:
        self.asked.append(model_id)
        found = self.models.get(model_id) or AccountError("none", error_type="not_found_error", http_status=404)
        if isinstance(found, ClaudeError):
            raise found
        return found


def check(claude: Any, *, model: str = "", taken: Iterable[str] = (), **folder: Any) -> ModelCheck:
    """A check for a job with these settings."""
    effective = merge_settings(JobSettings("t", default_model=model), FolderSettings(**folder), "f/sluice.yaml", PRICES)
    return ModelCheck(ModelCatalogue(claude, lambda: NOW), NOW, effective, taken)


@pytest.mark.parametrize(
    ("model", "max_tokens", "problem"),
    [
        (HAIKU, 64_000, None),
        (HAIKU, 64_001, '"max_tokens" is 64001, but claude-haiku-5-5 gives 64000 at most.'),
        (replace(HAIKU, max_tokens=None), 10**9, None),
        (replace(HAIKU, lifecycle="retired"), 1, "The model claude-haiku-5-5 was retired."),
        (replace(HAIKU, retires_at="2026-11-21T00:00:00Z"), 1, "The model claude-haiku-5-5 was retired on 2026-11-21."),
        (replace(HAIKU, retires_at="2026-11-30T00:00:00Z"), 1, None),
        (replace(HAIKU, retires_at="2026-11-21"), 1, "The model claude-haiku-5-5 was retired on 2026-11-21."),
        (replace(HAIKU, retires_at="some day"), 1, None),
        (replace(HAIKU, takes_batches=False), 1, "The model claude-haiku-5-5 does not take batches."),
        (None, 1, "There is no model 'claude-haiku-5-5'."),
    ],
)
def test_a_model_has_to_be_able_to_do_the_work(model: ModelInfo | None, max_tokens: int, problem: str | None) -> None:
    claude = Claude(claude_haiku_5_5=model) if model else Claude()
    assert check(claude).problem("claude-haiku-5-5", max_tokens) == problem


def test_a_model_that_will_end_is_told_of() -> None:
    ending = replace(HAIKU, lifecycle="deprecated", retires_at="2026-11-30T00:00:00Z")
    found = check(Claude(claude_haiku_5_5=ending))
    assert found.problem("claude-haiku-5-5", 1) is None
    assert found.notes == ["The model claude-haiku-5-5 is deprecated and retires on 2026-11-30."]


def test_where_nobody_can_say_work_goes_on_and_says_so() -> None:
    claude = Claude(a=TransientError("cut"), b=TransientError("cut"))
    found = check(claude)
    assert [found.problem(name, 1) for name in ("a", "b", "a")] == [None, None, None]
    assert found.notes == ["The model a could not be checked with the Models API (api_error)."]
    assert claude.asked == ["a"]


def test_a_model_is_asked_about_once_in_hours() -> None:
    claude, time = Claude(m=HAIKU), [NOW]
    catalogue = ModelCatalogue(claude, lambda: time[0])  # type: ignore[arg-type]  # all of it that is called
    for seconds in (0, 3600, 6 * 3600):
        time[0] = NOW + seconds
        assert catalogue.find("m") == HAIKU
    assert claude.asked == ["m"]
    time[0] += 1
    assert catalogue.find("m") == HAIKU
    assert claude.asked == ["m", "m"]


TOO_MANY = "The file names more than 50 models that have no price; this is a further one."


@pytest.mark.parametrize("fails", [None, TransientError("cut")])
def test_a_file_that_names_no_end_of_models_does_not_become_so_many_calls(fails: ClaudeError | None) -> None:
    names = [f"m{number}" for number in range(60)]
    claude = Claude(**dict.fromkeys(names, fails)) if fails else Claude()
    found = check(claude)
    problems = [found.problem(name, 1) for name in names * 2]
    assert len(claude.asked) == (1 if fails else 50)
    assert (
        problems == [*(None if fails else f"There is no model {name!r}." for name in names[:50]), *[TOO_MANY] * 10] * 2
    )


def test_models_that_can_be_expected_run_behind_no_end_of_others() -> None:
    claude = Claude(claude_haiku_5_5=HAIKU, own=HAIKU)
    found = check(claude, model="own")
    for number in range(60):
        found.problem(f"m{number}", 1)
    assert [found.problem(name, 1) for name in ("claude-haiku-5-5", "own", "other")] == [None, None, TOO_MANY]


def test_the_models_of_earlier_invocations_count() -> None:
    claude = Claude(a=HAIKU)
    found = check(claude, taken=["a", *(f"m{number}" for number in range(49))])
    assert [found.problem(name, 1) for name in ("a", "b")] == [None, TOO_MANY]


@pytest.mark.parametrize(
    "name",
    [
        "m\n",
        " ",
        "?",
        "#x",
        "a/b",
        "../messages/batches",
        "..",
        "ä",
        "a\0",
        "%2e",
        "http://there/x",
        "x" * 129,
        "x" * 70_000,
    ],
)
def test_what_cannot_be_a_model_is_none_without_a_call(name: str) -> None:
    claude = Claude()
    found = check(claude)
    assert str(found.problem(name, 1)).startswith("There is no model '")
    assert len(str(found.problem(name, 1))) < 200
    assert not claude.asked


def test_a_second_try_has_to_be_within_the_limit_of_the_model_of_the_settings() -> None:
    assert check(Claude(a=HAIKU), model="a", retry_max_tokens=64_000).problem("a", 1) is None
    greedy = check(Claude(a=HAIKU), model="a", retry_max_tokens=64_001)
    with pytest.raises(
        InputError, match=r'^f/sluice\.yaml: "retry_max_tokens" is 64001, but claude-haiku-5-5 gives 64000'
    ):
        greedy.problem("a", 1)


def test_a_line_with_a_model_of_a_lower_limit_runs_and_is_noted() -> None:
    found = check(Claude(a=HAIKU), model="b", retry_max_tokens=64_001)
    assert found.problem("a", 1) is None
    (note,) = found.notes
    assert note.startswith('"retry_max_tokens" is 64001, but claude-haiku-5-5 gives 64000 at most')


def test_a_second_try_is_no_matter_where_nothing_is_known_of_the_model() -> None:
    claude = Claude(a=replace(HAIKU, max_tokens=None), b=replace(HAIKU, lifecycle="retired"))
    found = check(claude, retry_max_tokens=64_001)
    assert [found.problem(name, 1) for name in ("a", "b", "c")] == [
        None,
        "The model claude-haiku-5-5 was retired.",
        "There is no model 'c'.",
    ]
