"""What programs leave beside people's files, and what is not there yet: it is no file that anybody dropped. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

# A job's id behind which a person wrote a command; editors add the last ending by themselves.
COMMAND_TEXT = re.compile(r"([a-z0-9-]+-[0-9a-f]{12}(?:[0-9a-f]{12})?)\.(release|cancel)\.txt")
# Of Windows, macOS, and programs that keep versions; in lower case.
_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "ntuser.dat"})
_FOLDERS = frozenset(
    "__macosx $recycle.bin .git .svn .hg .trashes .spotlight-v100 .fseventsd .ipynb_checkpoints __pycache__".split()
)
# Downloads and uploads that are under way, and what editors write before they rename it.
_ENDINGS = frozenset("part filepart partial crdownload opdownload download tmp temp swp swo".split())


def is_leftover(key: str) -> bool:
    """Return whether an object is a leftover, by its name: hidden, of an office program, half loaded, of a system."""
    path = PurePosixPath(key)
    name = path.name.lower()
    return (
        name.startswith((".", "~$", "~wrl"))
        or name.endswith("~")
        or name in _NAMES
        or name.rpartition(".")[2] in _ENDINGS
        or not _FOLDERS.isdisjoint(part.lower() for part in path.parts[:-1])
    )
