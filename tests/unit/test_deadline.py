"""How much time is left, of an invocation and of anything else."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.deadline import Deadline


@dataclass
class Context:
    milliseconds: int

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


def test_the_end_of_an_invocation_is_asked_of_lambda_each_time() -> None:
    context = Context(60_500)
    deadline = Deadline.of(context)
    assert deadline.left() == 60.5
    context.milliseconds = 0
    assert deadline.left() == 0


def test_a_deadline_comes_nearer_by_its_own_clock() -> None:
    times = iter([100.0, 103.0, 111.0])
    deadline = Deadline.after(10.0, lambda: next(times))
    assert deadline.left() == 7
    assert deadline.left() == -1


def test_a_deadline_is_within_what_is_more_than_the_time_left() -> None:
    deadline = Deadline(60.0, lambda: 0.0)
    assert [deadline.is_within(seconds) for seconds in (59.9, 60.0, 60.1)] == [False, False, True]
