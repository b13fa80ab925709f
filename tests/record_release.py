"""Keep the state that this version leaves behind, for the tests of upgrades.

    python -m tests.record_release               writes tests/fixtures/releases/<version>; once, for each release
    python -m tests.record_release --read-by REV  lets another revision finish it instead: what going back to it does

The functions ``record_…`` of the tests of upgrades say what is in it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "tests/integration/jobs/test_upgrade.py",
    "tests/integration/tasks/test_upgrade.py",
    "tests/unit/streams/test_upgrade.py",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.record_release", description=__doc__.partition("\n")[0])
    parser.add_argument("--read-by", metavar="REV", help="a revision of this repository that is to finish what is left")
    parsed = parser.parse_args()
    return _read_by(parsed.read_by) if parsed.read_by else _pytest(ROOT, None, "-o", "python_functions=record_*")


def _read_by(revision: str) -> int:
    """Record into a folder of its own, and run the tests of upgrades of another revision on it."""
    with TemporaryDirectory(prefix="release-") as scratch:
        tree, left = Path(scratch) / "tree", Path(scratch) / "left"
        left.mkdir()
        _git("worktree", "add", "--quiet", "--detach", str(tree), revision)
        try:
            return _pytest(ROOT, left, "-o", "python_functions=record_*") or _pytest(tree, left)
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)


def _pytest(tree: Path, folder: Path | None, *options: str) -> int:
    environ = dict(os.environ) | ({"RELEASES_DIR": str(folder)} if folder else {})
    # Of that tree alone: this one is on no path.
    environ.pop("PYTHONPATH", None)
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *options, *FILES], cwd=tree, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main())
