"""The template as it is, for the facts that no emulator keeps."""

from __future__ import annotations

import pytest

from local.template import Template, load_template


@pytest.fixture(scope="session")
def template() -> Template:
    return load_template()
