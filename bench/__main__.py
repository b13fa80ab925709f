"""``python -m bench [NAME ...] [--quick]`` measures what is claimed: batches, streaming, tasks; without a name, all.

Each is a module of this package that is run by itself, so that none weighs on another's memory. With ``--quick`` all
is small, to see that it works; its figures mean little.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

NAMES = ("batches", "streaming", "tasks")


def main(arguments: list[str]) -> int:
    """Run the benchmarks that are asked for; 1 where one fails or misses a target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=(*NAMES, "all", []), help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args(arguments)
    names = NAMES if "all" in asked.names or not asked.names else asked.names
    failed = False
    for name in names:
        print(f"\n# {name}\n", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] if asked.quick else [])]
        failed |= subprocess.run(command, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
