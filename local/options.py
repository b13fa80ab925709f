"""What `make local` is told by its environment."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.template import ROOT

PARAMETER_PREFIX = "SLUICE_PARAM_"
PORTS = 3


class OptionError(ValueError):
    """A variable of the environment that cannot be used; the message says which, and what it may be."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a stack is started.

    `port_base` is the first of three ports in a row; None takes free ones. `claude_base_url` None starts a simulator.
    `parameters` are values for the template's parameters, over those that a local stack has anyway.
    `state_dir` holds stack.json and logs. `enforces_policies` has the emulator refuse what a role may not do, as AWS
    does; that takes longer. With `words`, some words in prompts steer the simulator's answers (`simulator/words.py`).
    """

    port_base: int | None = None
    claude_base_url: str | None = None
    claude_api_key: str | None = None
    parameters: Mapping[str, str] | None = None
    state_dir: Path = ROOT / ".local"
    enforces_policies: bool = False
    words: bool = False

    def port(self, number: int) -> int:
        """The port of the stack's nth server; 0 for any free one."""
        return 0 if self.port_base is None else self.port_base + number


def read_options(environ: Mapping[str, str], known_parameters: Mapping[str, object]) -> Options:
    """Options from SLUICE_PORT_BASE, SLUICE_CLAUDE_BASE_URL, SLUICE_CLAUDE_API_KEY, SLUICE_STATE_DIR, SLUICE_PARAM_*.

    Raises OptionError for a port or a URL that is none, and for a parameter that the template does not have.
    """
    return Options(
        port_base=_read_port(environ.get("SLUICE_PORT_BASE", "")),
        claude_base_url=_read_url(environ.get("SLUICE_CLAUDE_BASE_URL", "")),
        claude_api_key=environ.get("SLUICE_CLAUDE_API_KEY") or None,
        parameters=_read_parameters(environ, known_parameters),
        state_dir=(ROOT / environ.get("SLUICE_STATE_DIR", ".local")).resolve(),
    )


def check_ports(options: Options) -> None:
    """Raise OptionError where something listens on a port that was asked for."""
    if options.port_base is None:
        return
    # The second one is the simulator's.
    for number in (0, 2) if options.claude_base_url else range(PORTS):
        port = options.port(number)
        with socket.socket() as probe:
            # As the servers will: connections of one that has ended do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise OptionError(
                    f"SLUICE_PORT_BASE is {options.port_base}, but port {port} of 127.0.0.1 is taken; "
                    f"{PORTS} free ones in a row are needed"
                ) from error


def _read_url(text: str) -> str | None:
    url = text.rstrip("/")
    # As the template's parameter ClaudeBaseUrl.
    if url and not re.fullmatch(r"https://[^/\s]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?", url):
        raise OptionError(
            f'SLUICE_CLAUDE_BASE_URL is "{text}"; it must be a URL without a path, and with https unless it '
            "is on this machine, such as http://127.0.0.1:9000"
        )
    return url or None


def _read_port(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1024 <= int(text) <= 65536 - PORTS:
        raise OptionError(f'SLUICE_PORT_BASE is "{text}"; it must be a port from 1024 to {65536 - PORTS}')
    return int(text)


def _read_parameters(environ: Mapping[str, str], known: Mapping[str, object]) -> dict[str, str]:
    given = {k.removeprefix(PARAMETER_PREFIX): v for k, v in environ.items() if k.startswith(PARAMETER_PREFIX)}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise OptionError(
            f"{PARAMETER_PREFIX}{unknown[0]}: template.yaml has no such parameter; it has {', '.join(known)}"
        )
    return given
