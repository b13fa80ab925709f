"""Keep the state that this version leaves behind, for the tests of upgrades: ``python -m tests.record_release``.

Run once, when a version is released. It writes tests/fixtures/releases/<version>; the functions ``record_…`` of the
tests of upgrades say what is in it.
"""

from __future__ import annotations

import sys

import pytest

FILES = ("tests/integration/jobs/test_upgrade.py", "tests/integration/tasks/test_upgrade.py")


def main() -> int:
    return pytest.main(["-q", "-o", "python_functions=record_*", *FILES, "tests/unit/streams/test_upgrade.py"])


if __name__ == "__main__":
    sys.exit(main())
