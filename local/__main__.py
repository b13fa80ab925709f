"""`python -m local`: run the embedded stack in the foreground, until SIGINT or SIGTERM."""

import os
import sys
from dataclasses import replace

from local.build import BuildError
from local.children import ChildFailed
from local.guide import guide
from local.interrupts import raise_on_signals
from local.options import OptionError, Options, read_options
from local.stack import running_stack
from local.template import load_template


def main() -> int:
    """Run the stack and return the status to exit with: 0 when it was told to stop, 1 when it failed."""
    raise_on_signals()
    try:
        options = replace(read_options(os.environ, load_template().parameters), words=True)
        _serve(options)
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 0
    except (OptionError, BuildError, ChildFailed) as error:
        print(f"make local: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _serve(options: Options) -> None:
    print("Starting the stack …", flush=True)
    with running_stack(options) as stack:
        model = (options.parameters or {}).get(
            "DefaultModel", str(load_template().parameters["DefaultModel"]["Default"])
        )
        is_simulated = options.claude_base_url is None
        print(guide(stack.facts, options.state_dir / "stack.json", model, is_simulated), flush=True)
        try:
            stack.watch()
        finally:
            print("Stopping …", flush=True)


if __name__ == "__main__":
    sys.exit(main())
