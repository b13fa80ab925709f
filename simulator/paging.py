"""Pages of a list, newest first, by `limit`, `after_id` and `before_id` (Claude API: Pagination). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.errors import ApiError

MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for."""

    limit: int = 20
    after_id: str | None = None
    before_id: str | None = None


def read_page_request(query: Mapping[str, str]) -> PageRequest:
    """The page that a query asks for. Raises ApiError (400)."""
    text = query.get("limit", "20")
    if not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise ApiError(400, f"limit: Input should be a valid integer between 1 and {MAX_LIMIT}")
    if query.get("after_id") and query.get("before_id"):
        raise ApiError(400, "Only one of after_id and before_id may be given")
    return PageRequest(int(text), query.get("after_id") or None, query.get("before_id") or None)


def select_page(ids: Sequence[str], page: PageRequest) -> tuple[slice, bool]:
    """Which part of `ids` (newest first) the page is, and whether there is more in its direction.

    Raises ApiError (400) for an id that is not there.
    """
    if page.before_id is not None:
        stop = _position(ids, page.before_id, "before_id")
        start = max(stop - page.limit, 0)
        return slice(start, stop), start > 0
    start = 0 if page.after_id is None else _position(ids, page.after_id, "after_id") + 1
    stop = start + page.limit
    return slice(start, min(stop, len(ids))), stop < len(ids)


def _position(ids: Sequence[str], wanted: str, name: str) -> int:
    try:
        return ids.index(wanted)
    except ValueError:
        raise ApiError(400, f"{name}: there is no {wanted}") from None
