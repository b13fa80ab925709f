"""Words that steer an answer where they stand in a prompt, so that each kind of end can be played by hand."""

from simulator.faults import Fault, Result
from simulator.messages import StopDetails
from simulator.replies import Reply, ReplyRule
from simulator.rules import Match

_REPLIES = {
    "CUTOFF": Reply(words=200_000),
    "REFUSE": Reply(
        text="I cannot help with that.",
        stop_reason="refusal",
        stop_details=StopDetails(category="cyber", explanation="The request may be misused."),
    ),
    "PAUSED": Reply(text="Let me look that up.", stop_reason="pause_turn"),
    "WINDOWFULL": Reply(text="There is no room left to", stop_reason="model_context_window_exceeded"),
    "MISFIT": Reply(text='{"other": "than asked for"}'),
    "NOTJSON": Reply(text="This is no JSON."),
    "BULLET": Reply(text="- cheap\n- good"),
    "FORMULA": Reply(text="=1+1"),
}
REPLIES = [ReplyRule(match=Match(prompt=word), reply=reply) for word, reply in _REPLIES.items()]
_RESULTS = {
    "REJECT": Result(outcome="errored", error_type="invalid_request_error"),
    "EXPIRE": Result(outcome="expired"),
}
FAULTS = [Fault(match=Match(prompt=word), action=result) for word, result in _RESULTS.items()]
WORDS = (*_REPLIES, *_RESULTS)
