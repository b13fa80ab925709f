"""What samconfig.toml says of a deployment: the stack, where it is, and the answers that were given the last time.

SAM keeps the file beside the template that it finds by itself, and reads it each time (SAM CLI: configuration file). So
no command names a template: SAM would look for the file beside that one, in a folder that the next build empties.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.template import ROOT

SAMCONFIG = ROOT / "samconfig.toml"
_OVERRIDE = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


@dataclass(frozen=True, slots=True)
class DeployConfig:
    """``region`` and ``profile`` None: whatever AWS's own configuration says. ``answers`` are values of parameters."""

    stack: str
    region: str | None = None
    profile: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)


def read_config(path: Path = SAMCONFIG) -> DeployConfig:
    """Read the file; without one, or without entries, the stack is "sluice" and nothing was answered."""
    tables = tomllib.loads(path.read_text()).get("default", {}) if path.exists() else {}
    values: dict[str, Any] = {}
    for command in ("global", "deploy"):
        values |= tables.get(command, {}).get("parameters", {})
    return DeployConfig(
        stack=str(values.get("stack_name", "sluice")),
        region=values.get("region"),
        profile=values.get("profile"),
        answers=dict(_answers(values.get("parameter_overrides", ""))),
    )


def _answers(overrides: object) -> Iterator[tuple[str, str]]:
    """Yield the parameters of `parameter_overrides`, which is one text as SAM writes it, or a list."""
    for text in overrides if isinstance(overrides, list) else [overrides]:
        for name, quoted, bare in _OVERRIDE.findall(str(text)):
            yield name, re.sub(r"\\(.)", r"\1", quoted) or bare
