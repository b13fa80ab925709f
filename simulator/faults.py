"""What can be made to go wrong with a call, or with a request in a batch. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeVar

from msgspec import Struct

from simulator.rules import Entry, Rule, RuleBook, Subject, matches

# The names of `errors.CAUSES`.
CauseName = Literal[
    "no_credit",
    "no_credit_402",
    "own_spend_limit",
    "workspace_spend_limit",
    "tier_spend_limit",
    "contract_spend_limit",
    "organization_on_hold",
    "cmek_key_disabled",
    "cmek_key_unreachable",
    "human_review_disabled",
    "ramp_limit",
    "key_refused",
    "no_permission",
    "unknown_refusal",
]


class Refuse(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="refuse", forbid_unknown_fields=True):
    """An answer in place of the real one; nothing is carried out."""

    status: int = 529
    cause: CauseName | None = None
    error_type: str | None = None
    message: str | None = None
    details: dict[str, str] | None = None
    headers: dict[str, str] = {}
    body: str | None = None


class Lose(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="lose", forbid_unknown_fields=True):
    """The request is carried out, and its reply is lost."""

    how: Literal["reset", "close", "status"] = "reset"
    status: int = 500


class Delay(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="delay", forbid_unknown_fields=True):
    """Seconds before the headers."""

    seconds: float


class Pace(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="pace", forbid_unknown_fields=True):
    """A slow body: seconds between events (lines), or small pieces with seconds between them."""

    event_seconds: float = 0.0
    chunk_bytes: int = 0
    chunk_seconds: float = 0.0


BreakHow = Literal["reset", "close", "end", "stall", "error_event", "bad_json", "cut_utf8", "not_sse"]


class Break(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="break", forbid_unknown_fields=True):
    """What happens to a body after so many events (lines) or bytes; before the headers if neither is given."""

    how: BreakHow = "reset"
    after_events: int | None = None
    after_bytes: int | None = None
    seconds: float | None = None
    ping_seconds: float | None = None
    error_type: str = "overloaded_error"
    cause: CauseName | None = None


class Hide(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="hide", forbid_unknown_fields=True):
    """Batches younger than this are not there: 404, and left out of lists."""

    seconds: float
    since: Literal["created", "ended"] = "created"


class BatchTime(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="batch_time", forbid_unknown_fields=True):
    """How many seconds a batch takes."""

    seconds: float


Outcome = Literal["errored", "expired", "canceled", "max_tokens", "refusal"]


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="result", forbid_unknown_fields=True):
    """The outcome of requests in batches."""

    outcome: Outcome = "errored"
    cause: CauseName | None = None
    error_type: str = "overloaded_error"
    message: str | None = None
    details: dict[str, str] | None = None


Action = Refuse | Lose | Delay | Pace | Break | Hide | BatchTime | Result


class Fault(Rule, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A rule that makes something go wrong."""

    action: Action


A = TypeVar("A", bound=Struct)


@dataclass(frozen=True, slots=True)
class CallFaults:
    """What goes wrong with one call: at most one action of each type, and the ids of their rules."""

    actions: tuple[Action, ...] = ()
    rules: tuple[str, ...] = ()

    def get(self, kind: type[A]) -> A | None:
        """The action of that type, if there is one."""
        return next((action for action in self.actions if isinstance(action, kind)), None)


NO_FAULTS = CallFaults()


def faults_of_call(book: RuleBook[Fault], subject: Subject) -> CallFaults:
    """What the rules make go wrong with this call; counts the rules that act."""
    actions: dict[type[Struct], Action] = {}
    ids: list[str] = []
    for entry in book.entries:
        action = entry.rule.action
        if isinstance(action, Result) or type(action) in actions or not matches(entry.rule.match, subject):
            continue
        if entry.take():
            actions[type(action)] = action
            ids.append(entry.id)
    return CallFaults(tuple(actions.values()), tuple(ids)) if ids else NO_FAULTS


def result_entries(book: RuleBook[Fault]) -> tuple[Entry[Fault], ...]:
    """The rules about requests in batches, as they are now: those of a batch that is made now."""
    return tuple(entry for entry in book.entries if isinstance(entry.rule.action, Result))


def result_of_request(entries: tuple[Entry[Fault], ...], subject: Subject, identity: int, batch: int) -> Result | None:
    """The outcome that the rules give to one request; counts the rule that acts."""
    for entry in entries:
        action = entry.rule.action
        if isinstance(action, Result) and matches(entry.rule.match, subject) and entry.take_request(identity, batch):
            return action
    return None
