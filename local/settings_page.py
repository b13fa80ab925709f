"""docs/settings.md, generated from the template's parameters by `python -m local.settings_page`."""

from collections.abc import Iterator, Mapping
from typing import Any

from local.template import ROOT, Template, load_template

PAGE = ROOT / "docs" / "settings.md"
_HEAD = """\
# Settings

All settings are parameters of the stack. `make deploy` asks for them; to change one later, deploy again.
This page is generated from `template.yaml` by `python -m local.settings_page`.
"""


def settings_page(template: Template) -> str:
    """Return the page: a table for each group of parameters, in the order of the deployment form."""
    groups = template.body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    return "\n".join([_HEAD, *(line for group in groups for line in _group(template, group))])


def _group(template: Template, group: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {group['Label']['default']}\n"
    yield "| parameter | default | allowed | what it does |"
    yield "|---|---|---|---|"
    for name in group["Parameters"]:
        parameter = template.parameters[name]
        description = " ".join(str(parameter["Description"]).split()).replace("|", "\\|")
        yield f"| `{name}` | {_value(parameter['Default'])} | {_allowed(parameter)} | {description} |"
    yield ""


def _value(value: object) -> str:
    return f"`{value}`" if value != "" else "none"


def _allowed(parameter: Mapping[str, Any]) -> str:
    """Return in a few words what a parameter may be. Of a pattern, the description says what it means."""
    if values := parameter.get("AllowedValues"):
        return ", ".join(_value(value) for value in values)
    low, high = parameter.get("MinValue"), parameter.get("MaxValue")
    if low is not None and high is not None:
        return f"{low} to {high}"
    return "any text" if low is None else f"from {low}"


if __name__ == "__main__":
    PAGE.write_text(settings_page(load_template()))
