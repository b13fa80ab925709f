"""What a call looks like to the rules."""

import msgspec
from msgspec import Struct

from simulator.connection import Call
from simulator.params import Block, InputMessage
from simulator.prompt import full_text
from simulator.rules import Subject


class _Prompt(Struct):
    """What rules look at in a body, which may be wrong in all other ways."""

    model: str = ""
    messages: list[InputMessage] = []
    system: str | list[Block] = ""
    stream: bool = False


_decoder = msgspec.json.Decoder(_Prompt)


def subject_of_call(call: Call, body: bytes) -> Subject:
    """The call, with what its body says as far as it can be read."""
    prompt = _Prompt()
    if call.record.operation in ("messages", "count_tokens"):
        try:
            prompt = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            prompt = _Prompt()
    return Subject(
        operation=call.record.operation,
        method=call.method,
        path=call.path,
        headers=call.headers,
        key=call.key,
        model=prompt.model,
        prompt=full_text(prompt.system, prompt.messages),
        stream=prompt.stream,
    )
