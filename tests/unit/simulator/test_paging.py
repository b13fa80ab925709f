import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import ApiError
from simulator.paging import PageRequest, read_page_request, select_page

IDS = [f"id{number}" for number in range(10)]


def test_the_first_page_is_the_newest() -> None:
    assert select_page(IDS, PageRequest(limit=3)) == (slice(0, 3), True)


def test_a_page_before_an_id_ends_right_before_it() -> None:
    assert select_page(IDS, PageRequest(limit=3, before_id="id5")) == (slice(2, 5), True)
    assert select_page(IDS, PageRequest(limit=9, before_id="id5")) == (slice(0, 5), False)


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(0, 25))
def test_pages_after_one_another_give_each_id_once(limit: int, count: int) -> None:
    ids = [str(number) for number in range(count)]
    seen: list[str] = []
    more = True
    while more:
        selected, more = select_page(ids, PageRequest(limit, after_id=seen[-1] if seen else None))
        seen += ids[selected]
    assert seen == ids


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"after_id": "a", "before_id": "b"}]
)
def test_a_wrong_page_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ApiError):
        read_page_request(query)


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(ApiError, match="after_id"):
        select_page(IDS, PageRequest(after_id="other"))


def test_the_limit_is_twenty_unless_given() -> None:
    assert read_page_request({}) == PageRequest(20)
    assert read_page_request({"limit": "1000", "after_id": "a"}) == PageRequest(1000, after_id="a")
