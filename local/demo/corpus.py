"""A real file to drop: questions about the documentation of Python's standard library, found on this machine."""

from __future__ import annotations

import ast
import json
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REQUESTS = 320
MODEL = "claude-haiku-5-5"
# Modules that every installation of Python has, with documentation in their source.
MODULES = (
    "argparse asyncio/tasks asyncio/streams base64 bisect calendar cmd codecs collections/__init__ configparser "
    "contextlib copy csv dataclasses datetime difflib dis email/message enum fileinput fnmatch fractions functools "
    "getpass gettext glob gzip heapq html/parser http/client http/cookiejar http/server imaplib inspect io ipaddress "
    "json/__init__ json/decoder linecache locale logging/__init__ logging/handlers mailbox mimetypes operator optparse "
    "os pathlib pdb pickle pkgutil platform plistlib pprint profile queue random sched secrets selectors shelve shlex "
    "shutil smtplib socket socketserver sqlite3/dbapi2 ssl statistics string subprocess tarfile tempfile textwrap "
    "threading timeit tokenize traceback types typing unittest/case unittest/mock urllib/parse urllib/request uuid "
    "warnings wave weakref webbrowser wsgiref/headers xml/dom/minidom zipfile zipfile/__init__"
).split()

# Lines of the file that are wrong on purpose, by what is wrong with them.
REJECTED_LINES = (
    '{"custom_id": "half-a-line", "params": {"model": "claude-haiku-5-5", "max_tok',
    '{"custom_id": "not allowed!", "params": {"model": "claude-haiku-5-5", "max_tokens": 60, '
    '"messages": [{"role": "user", "content": "What is a custom_id made of?"}]}}',
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One documented function or class of a module."""

    name: str
    text: str


def entries() -> Iterator[Entry]:
    """Yield what is documented in the standard library of the running interpreter, in a fixed order."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for module in MODULES:
        path = library / f"{module}.py"
        if path.is_file():
            tree = ast.parse(path.read_text("utf-8"))
            yield from _documented(tree, module.removesuffix("/__init__").replace("/", "."))


def _documented(tree: ast.Module, module: str) -> Iterator[Entry]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node)
            if text and len(text) > 80:
                yield Entry(f"{module}.{node.name}", text)


def request_lines(count: int = REQUESTS) -> list[str]:
    """Write a line of JSONL for each of the first ``count`` entries, as ``batches.create`` takes them.

    Raises ValueError where the machine's library documents fewer.
    """
    lines = [_line(number, entry) for number, entry in zip(range(1, count + 1), entries(), strict=False)]
    if len(lines) < count:
        raise ValueError(f"Python's library on this machine documents {len(lines)} things; the demo needs {count}.")
    return lines


def _line(number: int, entry: Entry) -> str:
    question = (
        f"Here is the documentation of {entry.name} in Python's standard library.\n\n{entry.text}\n\n"
        "Say in one sentence, to a beginner, when to use it."
    )
    params = {"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": question}]}
    return json.dumps({"custom_id": f"{number:03d}-{entry.name.replace('.', '-')}"[:64], "params": params})


def demo_file() -> bytes:
    """The file that the demo drops: the requests, and two lines that have to be rejected among them."""
    lines = request_lines()
    lines.insert(100, REJECTED_LINES[0])
    lines.insert(200, REJECTED_LINES[1])
    return "\n".join(lines).encode() + b"\n"
