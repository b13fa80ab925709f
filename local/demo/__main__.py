"""`python -m local.demo`: build, deploy, use all three doors, stop. Exits with 0 only if all of it went well."""

from __future__ import annotations

import os
import sys
import time

import httpx2

from local.build import BuildError
from local.children import ChildFailed
from local.demo.checks import Expected, FellShort
from local.demo.corpus import REJECTED_LINES, demo_file
from local.demo.display import Display
from local.demo.flaws import script_flaws
from local.demo.scenes import Scenes
from local.interrupts import raise_on_signals
from local.options import OptionError, Options, read_options
from local.stack import Stack, running_stack
from local.template import load_template
from simulator.client import Simulator


def main() -> int:
    """Run the demo and return the status to exit with."""
    raise_on_signals()
    display = Display()
    started = time.monotonic()
    try:
        _run(read_options(os.environ, load_template().parameters), display)
    except KeyboardInterrupt:
        display.say("Stopped.")
        return 130
    except (OptionError, BuildError, ChildFailed, FellShort, httpx2.HTTPError, ValueError) as error:
        display.say(f"\nThe demo fell short: {error}", "bold red")
        return 1
    display.say(f"\nAll three doors did their job, in {time.monotonic() - started:.0f} s.", "bold green")
    return 0


def _run(options: Options, display: Display) -> None:
    file = demo_file()
    display.say("Building the template, starting the embedded stack, deploying to it ...")
    with running_stack(options) as stack:
        expected = _expect(stack, options, file.count(b"\n"))
        scenes = Scenes(stack, display)
        display.heading(1, "Stream an answer: the Anthropic SDK, pointed at the streaming door")
        scenes.stream()
        display.heading(2, "Drop a file: what the documentation of Python's library is good for")
        scenes.job(file, expected)
        display.heading(3, "Queue a task: the answer comes by a signed callback")
        scenes.task()
        display.say("\nStopping what was started ...")


def _expect(stack: Stack, options: Options, lines: int) -> Expected:
    """Return what has to come of the file; Claude itself cannot be told to fail."""
    if options.claude_base_url is not None:
        return Expected(lines=lines, rejected=len(REJECTED_LINES))
    return script_flaws(Simulator(stack.facts.claude_base_url), lines)


if __name__ == "__main__":
    sys.exit(main())
