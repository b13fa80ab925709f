"""The page of settings says what the template says."""

from __future__ import annotations

from local.settings_page import PAGE, settings_page
from local.template import Template


def test_the_page_of_settings_is_current(template: Template) -> None:
    assert PAGE.read_text() == settings_page(template), "python -m local.settings_page writes it anew"


def test_every_parameter_is_on_the_page(template: Template) -> None:
    page = settings_page(template)
    assert [name for name in template.parameters if f"| `{name}` |" not in page] == []
