"""The one table, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.aws.dynamodb import Table
from tests.world.aws import moto_table


@pytest.fixture
def table() -> Iterator[Table]:
    with moto_table() as table:
        yield table
