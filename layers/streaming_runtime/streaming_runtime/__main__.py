"""The command that takes the place of Lambda's bootstrap, run by its path or with `-m`."""

import os
import sys


def main() -> None:
    if not __package__:  # run by its path: the interpreter put this folder, not the one around it, on the path
        sys.path[0] = os.path.dirname(sys.path[0])  # noqa: PTH120 - pathlib would cost more than all the rest
    from streaming_runtime.boot import run

    sys.exit(run(os.environ))


if __name__ == "__main__":
    main()
