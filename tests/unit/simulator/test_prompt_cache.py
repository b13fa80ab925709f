import json

from simulator.messages import Usage
from simulator.params import TokenParams, read_tokens
from simulator.prompt_cache import PromptCache, marked_prefix

LONG = "word " * 2_000


def params(question: str, *, system: str = LONG, ttl: str = "5m", marked: bool = True) -> TokenParams:
    mark = {"cache_control": {"type": "ephemeral", "ttl": ttl}} if marked else {}
    body = {
        "model": "claude-sonnet-5",
        "system": [{"type": "text", "text": system, **mark}],
        "messages": [{"role": "user", "content": question}],
    }
    return read_tokens(json.dumps(body).encode())


def test_a_marked_prefix_is_written_once_and_read_afterwards() -> None:
    cache = PromptCache()
    first = cache.apply(params("one"), Usage(3_000, 10))
    second = cache.apply(params("two"), Usage(3_000, 10))
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens, first.input_tokens) == (2_500, 0, 500)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 2_500)
    assert first.cache_creation.ephemeral_5m_input_tokens == 2_500


def test_how_long_it_stays_is_told_apart() -> None:
    usage = PromptCache().apply(params("one", ttl="1h"), Usage(3_000, 10))
    assert usage.cache_creation.ephemeral_1h_input_tokens == 2_500


def test_what_is_not_marked_or_too_short_is_not_cached() -> None:
    usage = Usage(3_000, 10)
    assert PromptCache().apply(params("one", marked=False), usage) == usage
    assert PromptCache().apply(params("one", system="short"), usage) == usage


def test_a_mark_on_the_request_covers_all_of_it() -> None:
    body = {
        "model": "claude-sonnet-5",
        "cache_control": {"type": "ephemeral"},
        "messages": [{"role": "user", "content": LONG}],
    }
    prefix = marked_prefix(read_tokens(json.dumps(body).encode()))
    assert prefix is not None
    assert prefix.tokens >= 2_500


def test_a_cleared_cache_writes_again() -> None:
    cache = PromptCache()
    cache.apply(params("one"), Usage(3_000, 10))
    cache.clear()
    assert cache.apply(params("one"), Usage(3_000, 10)).cache_creation_input_tokens == 2_500
