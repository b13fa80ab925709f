from __future__ import annotations

import socket
from contextlib import nullcontext
from pathlib import Path

import pytest

from local.options import OptionError, Options, check_ports, read_options
from local.template import ROOT
from tests.world.ports import ports_in_a_row

KNOWN: dict[str, object] = {"MaxWaves": {}, "AuthMode": {}}


def test_nothing_set_means_free_ports_a_simulator_and_the_checkout() -> None:
    assert read_options({}, KNOWN) == Options(None, None, None, {}, ROOT / ".local")


def test_ports_follow_the_base() -> None:
    options = read_options({"SLUICE_PORT_BASE": "42000"}, KNOWN)
    assert [options.port(number) for number in range(3)] == [42000, 42001, 42002]


def test_without_a_base_the_system_chooses_each_port() -> None:
    assert [Options().port(number) for number in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("text", ["x", "80", "65534", "-1", "4200 0", "٤٢٠٠٠", "1e4"])
def test_a_port_that_cannot_be_is_refused_by_name(text: str) -> None:
    with pytest.raises(OptionError, match="SLUICE_PORT_BASE"):
        read_options({"SLUICE_PORT_BASE": text}, KNOWN)


def test_a_server_of_ones_own_takes_the_place_of_the_simulator() -> None:
    environ = {"SLUICE_CLAUDE_BASE_URL": "http://127.0.0.1:9000/", "SLUICE_CLAUDE_API_KEY": "sk-ant-mine"}
    options = read_options(environ, KNOWN)
    assert (options.claude_base_url, options.claude_api_key) == ("http://127.0.0.1:9000", "sk-ant-mine")


@pytest.mark.parametrize(
    "text", ["127.0.0.1:9000", "http://127.0.0.1:9000/v1", "ftp://127.0.0.1", "http://a b", "http://a"]
)
def test_a_server_that_is_no_url_is_refused_by_name(text: str) -> None:
    with pytest.raises(OptionError, match="SLUICE_CLAUDE_BASE_URL"):
        read_options({"SLUICE_CLAUDE_BASE_URL": text}, KNOWN)


@pytest.mark.parametrize(("number", "url", "refused"), [(0, None, True), (1, None, True), (1, "http://x", False)])
def test_a_port_that_is_taken_is_refused_by_name_where_it_is_needed(
    number: int, url: str | None, refused: bool
) -> None:
    base = ports_in_a_row(3)
    port = base + number
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        options = Options(port_base=base, claude_base_url=url)
        with pytest.raises(OptionError, match=f"port {port} of") if refused else nullcontext():
            check_ports(options)


def test_any_parameter_of_the_template_can_be_given() -> None:
    environ = {"SLUICE_PARAM_MaxWaves": "2", "SLUICE_PARAM_AuthMode": "iam", "SLUICE_TABLE": "not one"}
    assert read_options(environ, KNOWN).parameters == {"MaxWaves": "2", "AuthMode": "iam"}


def test_a_parameter_that_the_template_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(OptionError, match=r"SLUICE_PARAM_MaxWave: .* MaxWaves, AuthMode"):
        read_options({"SLUICE_PARAM_MaxWave": "2"}, KNOWN)


def test_the_state_can_be_kept_elsewhere(tmp_path: Path) -> None:
    assert read_options({"SLUICE_STATE_DIR": str(tmp_path)}, KNOWN).state_dir == tmp_path
    assert read_options({"SLUICE_STATE_DIR": "there"}, KNOWN).state_dir == ROOT / "there"
