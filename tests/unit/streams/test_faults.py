"""How a cut stream says what cut it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from sluice.streams.errors import CutCode

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "streams.md").read_text()


@pytest.mark.parametrize("code", sorted(get_args(CutCode)))
def test_the_guide_for_users_knows_every_code(code: str) -> None:
    assert f"`{code}`" in GUIDE
