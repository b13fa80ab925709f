"""What a request says: its texts, its documents, its size in tokens. Pure."""

import msgspec
from msgspec import Struct

from simulator.params import Block, InputMessage, TokenParams

CHARACTERS_PER_TOKEN = 4


class Document(Struct, frozen=True):
    """A document that may be cited."""

    index: int
    title: str | None
    text: str


def count_tokens(text: str) -> int:
    """An estimate: a token for each four characters."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def question(params: TokenParams) -> str:
    """The text of the last turn of the user."""
    for message in reversed(params.messages):
        if message.role == "user":
            return _text(message.content)
    return ""


def full_text(system: str | list[Block], messages: list[InputMessage]) -> str:
    """The system prompt and all turns, as text."""
    return "\n".join((_text(system), *(_text(message.content) for message in messages)))


def input_tokens(params: TokenParams) -> int:
    """An estimate of the size of the input."""
    turns = sum(3 + _size(message.content) for message in params.messages)
    tools = sum(40 + count_tokens(msgspec.json.encode(tool).decode()) for tool in params.tools)
    return turns + _size(params.system) + tools + 4


def documents(params: TokenParams) -> list[Document]:
    """The plain-text documents for which citations are enabled."""
    found = []
    number = 0
    for message in params.messages:
        for block in _blocks(message):
            if block.type != "document":
                continue
            if block.source is not None and block.source.type == "text" and block.citations and block.citations.enabled:
                found.append(Document(number, block.title, block.source.data))
            number += 1
    return found


def answers_a_tool(params: TokenParams) -> bool:
    """Return whether the last turn hands back the result of a tool."""
    return any(block.type == "tool_result" for block in _blocks(params.messages[-1]))


def _blocks(message: InputMessage) -> list[Block]:
    return message.content if isinstance(message.content, list) else []


def _text(content: str | list[Block]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.text for block in content if block.text)


def _size(content: str | list[Block]) -> int:
    if isinstance(content, str):
        return count_tokens(content)
    return sum(block_tokens(block) for block in content)


def block_tokens(block: Block) -> int:
    """An estimate of the size of a content block."""
    if block.type == "image":
        return 1_500
    document = block.source.data if block.source is not None else ""
    return count_tokens(block.text) + count_tokens(document) + len(bytes(block.content)) // CHARACTERS_PER_TOKEN
