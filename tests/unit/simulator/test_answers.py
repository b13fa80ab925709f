from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.answers import Answer, Cut, EventBody, Stall, Step, broken, dribbled, error_answer, grouped
from simulator.errors import ApiError
from simulator.faults import Break

UNITS = [b"one\n", b"two\n", b"three\n"]


def steps(fault: Break, *, of_events: bool = True) -> list[Step]:
    return list(broken(iter(UNITS), fault, "req_1", of_events=of_events))


def test_a_cut_comes_after_so_many_events() -> None:
    assert steps(Break(how="reset", after_events=2))[:3] == [b"one\n", b"two\n", Cut("reset")]
    assert steps(Break(how="end", after_events=0))[0] == Cut("end")


def test_a_cut_comes_after_so_many_bytes() -> None:
    assert steps(Break(how="close", after_bytes=6))[:2] == [b"one\ntw", Cut("close")]
    assert steps(Break(how="close", after_bytes=1_000))[:2] == [b"one\ntwo\nthree\n", Cut("close")]


def test_the_rest_follows_a_stall() -> None:
    stall = Break(how="stall", after_events=1, seconds=2, ping_seconds=0.5)
    assert steps(stall) == [b"one\n", Stall(2, 0.5), b"two\n", b"three\n"]


def test_garbage_takes_the_place_of_one_event() -> None:
    first, garbage, last = steps(Break(how="not_sse", after_events=1))
    assert (first, last) == (b"one\n", b"three\n")
    assert isinstance(garbage, bytes)
    assert garbage.startswith(b"<html>")


def test_garbage_in_results_is_a_line() -> None:
    for how in ("bad_json", "cut_utf8"):
        garbage = steps(Break(how=how, after_events=1), of_events=False)[1]
        assert isinstance(garbage, bytes)
        assert garbage.startswith(b'{"custom_id"')
        assert garbage.endswith(b"\n")


def test_an_error_event_ends_the_stream() -> None:
    error = steps(Break(how="error_event", after_events=1, error_type="api_error"))
    assert error[1] == (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Internal server error"},'
        b'"request_id":"req_1"}\n\n'
    )
    assert error[2] == Cut("end")


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1)), st.integers(1, 9))
def test_dribbling_changes_no_byte(units: list[bytes], size: int) -> None:
    pieces = list(dribbled(units, size))
    assert b"".join(pieces) == b"".join(units)
    assert all(0 < len(piece) <= size for piece in pieces)


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1)), st.integers(1, 20))
def test_grouping_loses_no_event(events: list[bytes], size: int) -> None:
    groups = list(grouped(events, size))
    assert b"".join(data for data, _ in groups) == b"".join(events)
    assert sum(count for _, count in groups) == len(events)


def test_the_first_event_is_not_held_back() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"event"

    assert next(grouped(endless())) == (b"event", 1)


def test_the_content_type_goes_with_the_body() -> None:
    assert error_answer(ApiError(404, "no"), "req_1").content_type == "application/json"
    assert Answer(200, EventBody(iter(()))).content_type == "text/event-stream; charset=utf-8"
