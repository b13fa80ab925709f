import json

from simulator.messages import CharLocation, Message, TextBlock, ThinkingBlock, ToolUseBlock, Usage
from simulator.replies import PLAIN, Reply
from simulator.stream import PING, error_event, events

CITATION = CharLocation("The sea", 0, "Seas", 0, 7)
MESSAGE = Message(
    "msg_1",
    "assistant",
    "claude-sonnet-5",
    [
        ThinkingBlock("Let me see.", "c2lnbmVk"),
        TextBlock('The sea is "wide",\n\nand café.', [CITATION]),
        ToolUseBlock("toolu_1", "look", {"where": "north of the island, far out", "deep": True}),
    ],
    "tool_use",
    None,
    Usage(10, 20),
)


def parsed(reply: Reply = PLAIN) -> list[dict[str, object]]:
    found = []
    for event in events(MESSAGE, reply):
        name, data = event.decode().removesuffix("\n\n").split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        found.append(value)
    return found


def deltas(kind: str, field: str) -> str:
    pieces = [event["delta"] for event in parsed() if event["type"] == "content_block_delta"]
    return "".join(piece[field] for piece in pieces if isinstance(piece, dict) and piece["type"] == kind)


def test_the_deltas_add_up_to_the_blocks() -> None:
    assert deltas("text_delta", "text") == 'The sea is "wide",\n\nand café.'
    assert deltas("thinking_delta", "thinking") == "Let me see."
    assert deltas("signature_delta", "signature") == "c2lnbmVk"
    assert json.loads(deltas("input_json_delta", "partial_json")) == {
        "where": "north of the island, far out",
        "deep": True,
    }


def test_a_citation_has_a_delta_of_its_own() -> None:
    found = [event["delta"] for event in parsed() if "citations_delta" in json.dumps(event)]
    assert found == [
        {
            "type": "citations_delta",
            "citation": {
                "type": "char_location",
                "cited_text": "The sea",
                "document_index": 0,
                "document_title": "Seas",
                "start_char_index": 0,
                "end_char_index": 7,
            },
        }
    ]


def test_the_order_is_that_of_the_api() -> None:
    kinds = [event["type"] for event in parsed()]
    assert kinds[:3] == ["message_start", "ping", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3


def test_the_start_is_empty_and_the_end_has_the_counts() -> None:
    start, end = parsed()[0]["message"], parsed()[-2]
    assert isinstance(start, dict)
    assert (start["content"], start["stop_reason"], start["usage"]["output_tokens"]) == ([], None, 1)
    assert end["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert isinstance(end["usage"], dict)
    assert end["usage"]["output_tokens"] == 20


def test_pings_and_unknown_events_come_on_request() -> None:
    kinds = [event["type"] for event in parsed(Reply(pings=1, unknown_events=True))]
    assert kinds.count("ping") > 5
    assert "message_weather" in kinds
    assert '"emphasis_delta"' in json.dumps(parsed(Reply(unknown_events=True)))
    assert "message_weather" not in [event["type"] for event in parsed()]


def test_stamped_deltas_are_times() -> None:
    message = Message("m", "assistant", "x", [TextBlock("one two")], "end_turn", None, Usage(1, 1))
    texts = [
        json.loads(event[event.index(b"{") :])["delta"]["text"]
        for event in events(message, Reply(stamped=True))
        if b"text_delta" in event
    ]
    assert len(texts) == 2
    assert float(texts[0]) <= float(texts[1])


def test_an_error_event_carries_its_body() -> None:
    assert error_event(b'{"type":"error"}') == b'event: error\ndata: {"type":"error"}\n\n'
    assert PING == b'event: ping\ndata: {"type": "ping"}\n\n'
