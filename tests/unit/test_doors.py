"""What depends on what: the doors lean on shared ground and never on each other, and nothing imports upwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "layers" / "sluice" / "sluice"
# From the ground up, as docs/architecture.md draws it; modules without a folder are named below.
STOREYS = (
    frozenset({"aws", "claude"}),
    frozenset({"access", "callbacks", "http", "notify", "incidents"}),
    frozenset({"streams", "tasks", "jobs"}),
)
GROUND = frozenset({"errors", "settings", "backoff", "deadline", "timestamps", "transitions", "table_keys", "version"})
# Types of what is handed in, which have no code of their own to lean on.
FROM_THE_GROUND = {("transitions", "aws"), ("table_keys", "aws")}


def part_of(module: Path) -> str:
    """Name the folder of the library, or the module at its top."""
    return module.relative_to(LIBRARY).with_suffix("").parts[0]


def imported(module: Path) -> Iterator[str]:
    """Yield the parts of the library that a module imports, wherever in it and for whatever reason."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("sluice."))


def edges() -> set[tuple[str, str]]:
    """Return which part imports which other."""
    return {
        (part_of(module), part)
        for module in LIBRARY.rglob("*.py")
        for part in imported(module)
        if part != part_of(module)
    }


def storey_of(part: str) -> int:
    if part in GROUND:
        return 0
    return next(number for number, parts in enumerate(STOREYS, start=1) if part in parts)


@pytest.mark.parametrize("door", sorted(STOREYS[-1]))
def test_a_door_imports_no_other_door(door: str) -> None:
    taken = {part for importer, part in edges() if importer == door}

    assert {"errors", "http", "claude", "aws"} <= taken
    assert taken & STOREYS[-1] == set()


def test_nothing_imports_upwards() -> None:
    assert {(low, high) for low, high in edges() if storey_of(high) > storey_of(low)} == FROM_THE_GROUND
