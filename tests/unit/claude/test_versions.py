"""One rule for the version of the API, in all doors."""

from __future__ import annotations

import pytest

from sluice.claude.versions import NEWEST_VERSION, OLDER_VERSION, version_for


@pytest.mark.parametrize(
    ("params", "named", "version"),
    [
        ({"model": "m"}, None, NEWEST_VERSION),
        ({"model": "m", "temperature": 0}, None, OLDER_VERSION),
        ({"top_p": None}, None, OLDER_VERSION),
        ({"top_k": 1}, None, OLDER_VERSION),
        ({"temperature": 0}, "2026-10-21", "2026-10-21"),
        ({"model": "m"}, "2023-06-01", "2023-06-01"),
        ({"model": "m"}, "", NEWEST_VERSION),
    ],
)
def test_what_is_named_counts_and_otherwise_the_newest_that_takes_the_params(
    params: dict[str, object], named: str | None, version: str
) -> None:
    assert version_for(params, named) == version
