from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.table_keys import open_at
from sluice.tasks.task import Task, new_task_id

from .samples import DONE


@given(st.floats(0, 10**11), st.floats(0, 10**11))
def test_due_times_sort_as_text(one: float, other: float) -> None:
    assert (open_at(one) <= open_at(other)) == (round(one, 3) <= round(other, 3)) or abs(one - other) < 0.002


def test_ids_sort_by_time_and_are_not_guessed() -> None:
    ids = [new_task_id(float(now)) for now in range(100)]
    assert ids == sorted(ids)
    assert len({each[-20:] for each in ids}) == 100


def test_a_task_survives_being_written_down() -> None:
    item = {name: value for name, value in DONE.to_item().items() if value is not None}
    assert Task.from_item(item) == DONE
