import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.messages import Message, TextBlock, ThinkingBlock, ToolUseBlock
from simulator.params import read_message
from simulator.prompt_cache import PromptCache
from simulator.replies import PLAIN, Reply, ReplyRule, compose, reply_to
from simulator.rules import Entry, Match, Subject

TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def answer(prompt: str = "Tell me of the sea", reply: Reply = PLAIN, **params: Any) -> Message:
    body = {
        "model": "claude-sonnet-5",
        "max_tokens": 4_000,
        "messages": [{"role": "user", "content": prompt}],
        **params,
    }
    return compose(read_message(json.dumps(body).encode(), "2026-10-21"), reply, PromptCache(), message_id="msg_1")


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, TextBlock))


def test_the_answer_quotes_the_prompt_and_is_the_same_each_time() -> None:
    assert "Tell me of the sea" in text_of(answer())
    assert answer() == answer()


def test_another_prompt_has_another_answer() -> None:
    assert text_of(answer("Tell me of the sky")) != text_of(answer())


@settings(max_examples=50)
@given(st.text(min_size=1), st.integers(0, 200))
def test_no_answer_exceeds_max_tokens(prompt: str, limit: int) -> None:
    message = answer(prompt, max_tokens=limit)
    assert len(text_of(message)) <= 4 * limit
    assert message.usage.output_tokens <= max(limit, 1)
    assert message.stop_reason in ("end_turn", "max_tokens")


def test_a_long_answer_stops_at_max_tokens() -> None:
    message = answer(max_tokens=5)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 5)


def test_a_stop_sequence_stops_before_itself() -> None:
    message = answer(reply=Reply(text="one two three"), stop_sequences=["two"])
    assert (text_of(message), message.stop_reason, message.stop_sequence) == ("one ", "stop_sequence", "two")


def test_a_tool_is_used_when_one_is_offered() -> None:
    message = answer("Paris", tools=[TOOL])
    block = message.content[-1]
    assert isinstance(block, ToolUseBlock)
    assert (block.name, block.input, message.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use")


def test_no_tool_is_used_when_none_shall_be_or_when_its_result_is_there() -> None:
    assert answer(tools=[TOOL], tool_choice={"type": "none"}).stop_reason == "end_turn"
    handed_back = [
        {"role": "user", "content": "Paris"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "rain"}]},
    ]
    assert answer(tools=[TOOL], messages=handed_back).stop_reason == "end_turn"


def test_thinking_comes_first_signed_and_is_counted() -> None:
    message = answer(thinking={"type": "adaptive"})
    block = message.content[0]
    assert isinstance(block, ThinkingBlock)
    assert block.signature
    assert message.usage.output_tokens_details


def test_a_json_schema_is_met() -> None:
    properties = {"title": {"type": "string"}, "pages": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    message = answer(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(text_of(message)) == {"title": "Tell me of the sea", "pages": 4}


def test_a_document_is_cited_where_citations_are_enabled() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "The sea is wide."}
    document = {"type": "document", "source": source, "title": "Seas", "citations": {"enabled": True}}
    message = answer(messages=[{"role": "user", "content": [document, {"type": "text", "text": "How wide?"}]}])
    block = message.content[0]
    assert isinstance(block, TextBlock)
    assert block.citations
    assert block.citations[0].cited_text == "The sea is wide."


def test_a_script_shapes_the_answer() -> None:
    scripted = Reply(text="Fine.", thinking="Hm.", tool="look_up", input={"x": 1}, stop_reason="pause_turn")
    message = answer(reply=scripted)
    assert [type(block) for block in message.content] == [ThinkingBlock, TextBlock, ToolUseBlock]
    assert message.stop_reason == "pause_turn"
    assert len(text_of(answer(reply=Reply(words=500))).split()) == 500


def test_the_first_script_that_matches_is_used() -> None:
    entries = [
        Entry("a", ReplyRule(reply=Reply(text="sky"), match=Match(prompt="sky"))),
        Entry("b", ReplyRule(reply=Reply(text="once"), times=1)),
    ]
    subject = Subject(prompt="the sea")
    assert [reply_to(entries, subject).text for _ in range(2)] == ["once", None]
