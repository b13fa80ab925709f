"""Run a command that is told to stop when the process which started it is gone, however that one went.

Run by path, in front of the command: `python leash.py PARENT_PID COMMAND…`. Linux: prctl(2), PR_SET_PDEATHSIG; the
setting outlives the exec. Elsewhere the command is run without it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie_to_parent(parent_pid: int) -> None:
    """Have the kernel send SIGTERM to this process when its parent ends; exit at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(f"{sys.argv[0]}: the process {parent_pid} that started this one has gone")


if __name__ == "__main__":
    tie_to_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  replaces this process; no shell is wanted
