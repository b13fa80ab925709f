"""The prompt cache, as far as usage shows it: what is marked and long enough is written once, and then read."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from simulator.messages import CacheCreation, Usage
from simulator.params import Block, TokenParams, Tool
from simulator.prompt import block_tokens, count_tokens

# Claude API: Prompt caching. Shorter prefixes are not cached; the real minimum differs by model.
MIN_CACHED_TOKENS = 1024


class _CacheControl(Struct):
    type: str = "ephemeral"
    ttl: str = "5m"


@dataclass(frozen=True, slots=True)
class Prefix:
    """The part of a request up to its last mark."""

    digest: bytes
    tokens: int
    ttl: str


class PromptCache:
    """Prefixes that were written. Entries do not expire: a simulator does not run for long."""

    def __init__(self) -> None:
        self._written: set[bytes] = set()

    def clear(self) -> None:
        """Forget all prefixes."""
        self._written.clear()

    def apply(self, params: TokenParams, usage: Usage) -> Usage:
        """The usage with the tokens of a marked prefix counted as written or read."""
        prefix = marked_prefix(params)
        if prefix is None or prefix.tokens < MIN_CACHED_TOKENS:
            return usage
        tokens = min(prefix.tokens, usage.input_tokens)
        uncached = usage.input_tokens - tokens
        if prefix.digest in self._written:
            return msgspec.structs.replace(usage, input_tokens=uncached, cache_read_input_tokens=tokens)
        self._written.add(prefix.digest)
        creation = CacheCreation(0, tokens) if prefix.ttl == "1h" else CacheCreation(tokens, 0)
        return msgspec.structs.replace(
            usage, input_tokens=uncached, cache_creation_input_tokens=tokens, cache_creation=creation
        )


def marked_prefix(params: TokenParams) -> Prefix | None:
    """What `cache_control` marks: tools, then the system prompt, then the turns, up to the last mark."""
    if not _is_marked(params):
        return None
    digest = hashlib.sha256(params.model.encode())
    tokens = 0
    found: Prefix | None = None
    for part, mark in _parts(params):
        encoded = msgspec.json.encode(part)
        digest.update(encoded)
        tokens += block_tokens(part) if isinstance(part, Block) else count_tokens(encoded.decode())
        if mark:
            found = Prefix(digest.digest(), tokens, msgspec.json.decode(mark, type=_CacheControl).ttl)
    if found is None and bytes(params.cache_control):
        return Prefix(digest.digest(), tokens, msgspec.json.decode(params.cache_control, type=_CacheControl).ttl)
    return found


def _is_marked(params: TokenParams) -> bool:
    """A quick look, since most requests are not."""
    contents = (params.system, *(message.content for message in params.messages))
    return (
        bool(bytes(params.cache_control))
        or any(bytes(tool.cache_control) for tool in params.tools)
        or any(bytes(block.cache_control) for content in contents if isinstance(content, list) for block in content)
    )


def _parts(params: TokenParams) -> Iterator[tuple[Block | Tool | str, bytes]]:
    for tool in params.tools:
        yield tool, bytes(tool.cache_control)
    for content in (params.system, *(message.content for message in params.messages)):
        if isinstance(content, str):
            yield content, b""
        else:
            for block in content:
                yield block, bytes(block.cache_control)
