"""Transitions between states as data: which state each may find, and which it leaves.

The models list them (``JOB_TRANSITIONS`` and its like), each by the name of the table's method that makes it; the
tables turn each into one conditional write with ``move``. Standard library only: the streaming door imports it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sluice.aws.dynamodb import Update
from sluice.errors import ConditionFailed

State = TypeVar("State", bound=str)


@dataclass(frozen=True, slots=True)
class Transition(Generic[State]):
    sources: tuple[State, ...]  #: The states that it may find; in any other it changes nothing.
    targets: tuple[State, ...] = ()  #: The states that it may lead to; none where the state stays as it is.

    @property
    def edges(self) -> frozenset[tuple[State, State]]:
        """Each pair of a state and the one after it, those that stay as they are left out."""
        return frozenset((found, to) for found in self.sources for to in self.targets if found != to)


def move(
    update: Update,
    transition: Transition[State],
    to: State | None = None,
    *,
    seen: State | None = None,
    attribute: str = "status",
) -> Update:
    """Return an update that also makes a transition, on condition that it finds one of its states.

    ``to`` is needed where there are several targets. With ``seen`` it has to find that very state, the one that its
    caller acts on. Raises ConditionFailed where the transition does not start from ``seen``, and ValueError where it
    does not lead to ``to``.
    """
    if seen is not None and seen not in transition.sources:
        raise ConditionFailed(f"The item is {seen}.")
    if to is None and len(transition.targets) == 1:
        to = transition.targets[0]
    if (to is not None and to not in transition.targets) or (to is None and transition.targets):
        raise ValueError(f"The transition does not lead to {to}.")
    changes = {attribute: to} if to is not None else {}
    found = transition.sources if seen is None else seen
    return replace(update, set={**changes, **update.set}, where={attribute: found, **update.where})
