"""Names in the library stand for one thing each."""

from __future__ import annotations

import ast
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "layers" / "sluice" / "sluice"
MODULES = sorted(LIBRARY.rglob("*.py"))


def test_no_two_modules_have_a_class_of_one_name() -> None:
    names = Counter(
        node.name
        for module in MODULES
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert len(names) > 200
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("folder", sorted({module.parent for module in MODULES}), ids=lambda folder: folder.name)
def test_no_two_modules_of_a_folder_differ_by_an_ending_alone(folder: Path) -> None:
    stems = [module.stem for module in folder.glob("*.py")]
    endings = ("s", "er", "ing", "ed")
    alike = [(one, other) for one, other in permutations(stems, 2) for ending in endings if one + ending == other]
    assert alike == []
