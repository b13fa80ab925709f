"""`python -m simulator`: the Claude simulator as a process."""

import argparse
from pathlib import Path

import simulator
from simulator.server import run
from simulator.state import Settings
from simulator.words import WORDS


def _control_api() -> str:
    """Return the part of the package's description that names the faults and knobs."""
    description = simulator.__doc__ or ""
    return description[description.index("Control API") :]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A Claude API to test against.",
        epilog=f"While it runs, the control API sets faults, replies and the clock.\n\n{_control_api()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one (default)")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--data-dir", type=Path, help="where bodies and results of batches are kept while it runs")
    parser.add_argument("--batch-seconds", type=float, default=Settings().batch_seconds, help="how long a batch takes")
    parser.add_argument("--cancel-seconds", type=float, default=Settings().cancel_seconds)
    parser.add_argument("--events-per-second", type=float, default=0.0, help="pace of streams; 0: as fast as they go")
    parser.add_argument("--speed", type=float, default=1.0, help="of the clock; 0 freezes it")
    parser.add_argument("--words", action="store_true", help=f"in prompts, these steer the answer: {', '.join(WORDS)}")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    return parser.parse_args()


def main() -> None:
    """Serve until told to stop."""
    arguments = _arguments()
    run(
        arguments.host,
        arguments.port,
        settings=Settings(arguments.batch_seconds, arguments.cancel_seconds, arguments.events_per_second),
        speed=arguments.speed,
        port_file=arguments.port_file,
        data_dir=arguments.data_dir,
        until_stdin_closes=arguments.until_stdin_closes,
        words=arguments.words,
    )


if __name__ == "__main__":
    main()
