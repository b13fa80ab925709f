"""The order of the input comes back, whatever order, cuts, key order and blank lines the results come with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.claude.prices import shipped_prices
from sluice.jobs.collect.download import MISSING_RESULT, BatchResults
from sluice.jobs.collect.order import IdIndex, Locations, open_spool
from sluice.jobs.collect.retry_policy import Decision, ResultKind
from sluice.jobs.collect.usage import UsageMeter
from sluice.jobs.model import Shard, ShardRef, Source
from sluice.jobs.results import ForeignResults, read_blocks

NONCE = "sluice-0-0-nonce"


def result_line(custom_id: str, text: str = "", *, id_first: bool = True) -> bytes:
    message = {"model": "m", "content": [{"type": "text", "text": text}], "usage": {"output_tokens": len(text)}}
    parts = {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}
    if id_first:
        return json.dumps(parts, separators=(",", ":")).encode()
    return json.dumps(dict(reversed(parts.items()))).encode()


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


def index_of(ids: Sequence[str], hash_of: Callable[[str], int] = hash) -> IdIndex:
    index = IdIndex(len(ids), hash_of)
    index.add(ids)
    return index


def locate(opened: ExitStack, index: IdIndex, count: int, chunks: Sequence[bytes]) -> Locations:
    spool = opened.enter_context(open_spool(count))
    for block in read_blocks(chunks):
        spool.add(block.data, block.ends, index.find([line.custom_id for line in block.lines]))
    return spool.locate()


def batch_results(ids: Sequence[str], locations: Locations) -> BatchResults:
    shard = Shard(ShardRef("job", 0, 0), Source("inbox", "key", None, 0, 0), len(ids), 0, "ids", NONCE)
    text = "".join(f"{custom_id}\n" for custom_id in ids).encode()
    kinds = bytearray([ResultKind.SUCCEEDED]) * len(ids)
    return BatchResults(shard, kinds, UsageMeter(shipped_prices()), locations, MISSING_RESULT, lambda: iter([text]))


custom_ids = st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=60, unique=True)
hashes: list[Callable[[str], int]] = [
    hash,
    len,
    lambda _: -1,
    lambda text: hash(text) << 34,
    lambda text: hash(text) % 7,
]


@settings(max_examples=60)
@given(ids=custom_ids, data=st.data(), hash_of=st.sampled_from(hashes))
def test_any_permutation_comes_back_in_order(
    ids: list[str], data: st.DataObject, hash_of: Callable[[str], int]
) -> None:
    sent = [NONCE, *ids[1:]]
    order = data.draw(st.permutations(range(len(ids))))
    id_first = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
    blank = data.draw(st.sampled_from(["\n", "\n\n", "\r\n", "\n \n"])).encode()
    text = b"".join(result_line(sent[place], f"{place} é\n", id_first=id_first[place]) + blank for place in order)
    if data.draw(st.booleans()):
        text = text.rstrip()
    chunks = cut(text, data.draw(st.lists(st.integers(0, 10_000), max_size=12)))
    with ExitStack() as opened:
        locations = locate(opened, index_of(sent, hash_of), len(ids), chunks)
        results = batch_results(ids, locations)
        answers = [json.loads(line) for _, lines in results.answers(bytes(len(ids)), Decision.ANSWER) for line in lines]

    assert [answer["custom_id"] for answer in answers] == ids
    assert [answer["result"]["message"]["content"][0]["text"] for answer in answers] == [
        f"{place} é\n" for place in range(len(ids))
    ]


@settings(max_examples=40)
@given(ids=custom_ids, wanted=st.data())
def test_only_the_lines_of_one_decision_are_read(ids: list[str], wanted: st.DataObject) -> None:
    decided = bytes(wanted.draw(st.lists(st.sampled_from([0, 1]), min_size=len(ids), max_size=len(ids))))
    sent = [NONCE, *ids[1:]]
    with ExitStack() as opened:
        text = b"\n".join(result_line(custom_id) for custom_id in reversed(sent))
        results = batch_results(ids, locate(opened, index_of(sent), len(ids), [text]))
        places = [place for some, _ in results.answers(decided, Decision.ANSWER) for place in some]

    assert places == [place for place, decision in enumerate(decided) if decision == Decision.ANSWER]


def test_more_lines_than_a_group_come_back_in_order() -> None:
    ids = [f"id-{number}" for number in range(1000)]
    sent = [NONCE, *ids[1:]]
    with ExitStack() as opened:
        text = b"\n".join(result_line(custom_id) for custom_id in sorted(sent, key=hash))
        results = batch_results(ids, locate(opened, index_of(sent), len(ids), [text]))
        found = [json.loads(line)["custom_id"] for _, lines in results.answers(bytes(1000), 0) for line in lines]

    assert found == ids


def test_an_id_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(ForeignResults, match="not of this shard"):
        index_of(["a", "b"]).find(["a", "c"])


def test_a_strange_id_with_the_hash_of_an_asked_one_is_refused_where_its_line_is_read() -> None:
    with ExitStack() as opened:
        locations = locate(opened, index_of([NONCE, "asked"], lambda _: 7), 2, [result_line("asked"), b"\n"])
        assert batch_results(["first", "asked"], locations).result(1, "asked")
    with ExitStack() as opened:
        index = index_of(["asked"], lambda _: 7)
        locations = locate(opened, index, 1, [result_line("strange")])
        shard_of_later_wave = batch_results(["asked"], locations)
        with pytest.raises(ForeignResults):
            shard_of_later_wave.result(0, "asked")
        with pytest.raises(ForeignResults):
            list(shard_of_later_wave.answers(b"\0", Decision.ANSWER))


def test_an_id_that_comes_twice_is_refused() -> None:
    with ExitStack() as opened, pytest.raises(ForeignResults, match="twice"):
        locate(opened, index_of(["a", "b"]), 2, [result_line("a"), b"\n", result_line("a")])


def test_what_did_not_come_is_known() -> None:
    with ExitStack() as opened:
        locations = locate(opened, index_of(["a", "b", "c"]), 3, [result_line("b")])
        assert list(locations.missing) == [0, 2]
        assert locations.line(0) == b""


def test_an_index_stays_within_sixteen_bytes_a_request() -> None:
    index = IdIndex(100_000)
    assert sum(part.itemsize * len(part) for part in (index._tags, index._places)) <= 16 * 100_000
