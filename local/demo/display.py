"""What the demo shows: headings, facts, and one live line while something takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text


class Display:
    """Rich where a terminal is there; plain lines, each new state once, where none is."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)

    def heading(self, number: int, title: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{number}. {title}", align="left", style="dim")

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def write(self, text: str) -> None:
        """Print a piece of an answer as it arrives."""
        self.console.print(Text(text, style="green"), end="")
        self.console.file.flush()

    def box(self, title: str, text: str) -> None:
        """Print a text as it is, line by line: an address must not be cut, nor broken by a frame."""
        self.console.print(Text(f"\n  {title}", style="bold cyan"))
        for line in text.splitlines():
            self.console.print(Text(f"  | {line}"))

    def facts(self, rows: list[tuple[str, str]]) -> None:
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(name, style="dim"), Text(value))
        self.console.print(table)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Give a function that replaces the live line; without a terminal it prints each line that is new."""
        if self.console.is_terminal:
            with Live(console=self.console, refresh_per_second=8, transient=False) as live:
                yield lambda text: live.update(Text(text, style="yellow"))
            return
        shown = ""

        def show(text: str) -> None:
            nonlocal shown
            state = text.partition("  after ")[0]
            if state != shown:
                shown = state
                self.say(f"  {text}")

        yield show
