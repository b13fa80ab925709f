"""Child processes: each in a group of its own, with a log file, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
GRACE_SECONDS = 5.0
TAIL_LINES = 25


class ChildFailed(Exception):
    """A child process ended, or never came up; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    grace_seconds: float = GRACE_SECONDS

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.poll() is None

    def failure(self, what: str) -> ChildFailed:
        """An error that says what happened to this child, with the end of its log."""
        return ChildFailed(f"{self.name} {what}. The end of {self.log}:\n{tail(self.log)}")

    def stop(self) -> None:
        """End the process and its group: asked first, forced once its grace is over."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(self.grace_seconds)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        # The group may outlive its leader: what the leader started belongs to it.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"


def start(
    name: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    log_dir: Path,
    cwd: Path,
    grace_seconds: float = GRACE_SECONDS,
) -> Child:
    """Start a process with exactly this environment; its output goes to `{log_dir}/{name}.log`.

    Call it from the main thread: the kernel ties a child to the thread that started it.
    """
    log = log_dir / f"{name}.log"
    leashed = [sys.executable, "-I", str(LEASH), str(os.getpid()), *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            leashed,
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, process, log, grace_seconds)


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    log_dir: Path,
    cwd: Path,
    grace_seconds: float = GRACE_SECONDS,
) -> Iterator[Child]:
    """Run a process for as long as the block; see `start`."""
    child = start(name, command, environ, log_dir, cwd, grace_seconds)
    try:
        yield child
    finally:
        child.stop()


def run(name: str, command: Sequence[str], environ: Mapping[str, str], log_dir: Path, cwd: Path) -> None:
    """Run a process to its end. Raises ChildFailed, with the end of its log, if it exits other than with 0."""
    with running(name, command, environ, log_dir, cwd) as child:
        code = child.process.wait()
        if code != 0:
            raise child.failure(f"ended with exit code {code}")


def wait_for_port(child: Child, port_file: Path, seconds: float = 20.0) -> int:
    """Wait until a child has written the port that it listens on to a file, and return it. Raises ChildFailed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not child.is_running():
            raise child.failure("ended before it listened")
        text = port_file.read_text().strip() if port_file.exists() else ""
        if text:
            return int(text)
        time.sleep(0.02)
    raise child.failure(f"did not listen within {seconds:g} s")
