"""What `make local` is told by its environment."""

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
    does; that takes longer.
    """

    port_base: int | None = None
    claude_base_url: str | None = None
    claude_api_key: str | None = None
    parameters: Mapping[str, str] | None = None
    state_dir: Path = ROOT / ".local"
    enforces_policies: bool = False

    def port(self, number: int) -> int:
        """The port of the stack's nth server; 0 for any free one."""
        return 0 if self.port_base is None else self.port_base + number


def read_options(environ: Mapping[str, str], known_parameters: Mapping[str, object]) -> Options:
    """Options from SLUICE_PORT_BASE, SLUICE_CLAUDE_BASE_URL, SLUICE_CLAUDE_API_KEY, SLUICE_STATE_DIR, SLUICE_PARAM_*.

    Raises OptionError for a port that is none, and for a parameter that the template does not have.
    """
    base_url = environ.get("SLUICE_CLAUDE_BASE_URL", "").rstrip("/")
    return Options(
        port_base=_read_port(environ.get("SLUICE_PORT_BASE", "")),
        claude_base_url=base_url or None,
        claude_api_key=environ.get("SLUICE_CLAUDE_API_KEY") or None,
        parameters=_read_parameters(environ, known_parameters),
        state_dir=(ROOT / environ.get("SLUICE_STATE_DIR", ".local")).resolve(),
    )


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
