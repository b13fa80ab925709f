from __future__ import annotations

from local.build import target_of_this_machine
from local.stack import SCHEDULED, local_parameters
from local.template import load_template


def test_a_local_stack_gives_only_parameters_that_the_template_has() -> None:
    assert local_parameters("http://127.0.0.1:1", {}).keys() <= load_template().parameters.keys()


def test_a_local_stack_runs_on_this_python_and_calls_the_server_it_was_given() -> None:
    parameters = local_parameters("http://127.0.0.1:1", {})
    assert parameters.items() >= target_of_this_machine().parameters.items()
    assert parameters["ClaudeBaseUrl"] == "http://127.0.0.1:1"


def test_what_was_given_stands_over_what_fits_one_machine() -> None:
    assert local_parameters("http://127.0.0.1:1", {"WaveDelaySeconds": "60"})["WaveDelaySeconds"] == "60"


def test_every_function_that_has_a_schedule_is_fired_by_hand() -> None:
    scheduled = [name for name, one in load_template().functions.items() if "Events" in one]
    assert sorted(SCHEDULED) == sorted(scheduled)
