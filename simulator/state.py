"""All that a running simulator knows."""

from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from simulator.clock import Clock
from simulator.faults import Fault
from simulator.prompt_cache import PromptCache
from simulator.ratelimits import RateLimits
from simulator.record import Journal, Summary
from simulator.replies import ReplyRule
from simulator.rules import RuleBook
from simulator.store import BatchStore


class Settings(Struct, forbid_unknown_fields=True):
    """What can be set while it runs. An `events_per_second` of 0 sends streams as fast as they go."""

    batch_seconds: float = 2.0
    cancel_seconds: float = 0.2
    events_per_second: float = 0.0


@dataclass(slots=True)
class State:
    """The parts of a running simulator."""

    first_settings: Settings
    settings: Settings
    clock: Clock
    store: BatchStore
    journal: Journal
    faults: RuleBook[Fault]
    replies: RuleBook[ReplyRule]
    limits: RateLimits
    prompt_cache: PromptCache

    def reset(self) -> None:
        """Forget rules, calls and batches; settings and clock as at the start."""
        self.settings = self.first_settings
        self.clock.reset()
        self.store.clear()
        self.journal.clear()
        self.faults.clear()
        self.replies.clear()
        self.prompt_cache.clear()

    def summary(self) -> Summary:
        """All calls and batches in figures."""
        calls, batches = self.journal.calls(), self.store.records()
        return Summary(
            calls=self.journal.counts(),
            open_calls=sum(call.is_open for call in calls),
            disconnected_calls=sum(call.disconnected_at is not None for call in calls),
            batches_created=len(batches),
            batch_requests=sum(batch.count for batch in batches),
            input_tokens=sum(batch.input_tokens for batch in batches),
            output_tokens=sum(batch.output_tokens for batch in batches),
        )


def new_state(folder: Path, settings: Settings, speed: float) -> State:
    """A simulator that was asked nothing yet; bodies and results of batches go to `folder`."""
    clock = Clock(speed)
    return State(
        first_settings=settings,
        settings=settings,
        clock=clock,
        store=BatchStore(clock, folder),
        journal=Journal(),
        faults=RuleBook("fault"),
        replies=RuleBook("reply"),
        limits=RateLimits(),
        prompt_cache=PromptCache(),
    )
