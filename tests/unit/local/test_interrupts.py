from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from local.template import ROOT

SCRIPT = """
import os, signal, time
from local.interrupts import raise_on_signals
raise_on_signals()
try:
    print("up", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    print("stopped in peace")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_work_and_further_ones_do_not_disturb_the_end(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "up\n"
        process.send_signal(number)
        assert output.read() == "stopped in peace\n"
    assert process.wait() == 0
