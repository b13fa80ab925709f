"""What lets the page of a browser call a door (Fetch: CORS protocol), the same for all of them. Pure.

Lambda's own CORS of Function URLs stays off: it would add a second answer to ours.
"""

from __future__ import annotations

from collections.abc import Mapping


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a browser asks what it may send; ``headers`` are lower-cased."""
    return method == "OPTIONS" and "access-control-request-method" in headers


def cors_headers(origin: str | None, allowed: tuple[str, ...]) -> dict[str, str]:
    """Return what lets a page of ``origin`` read the answer (Fetch: CORS protocol); nothing where it may not."""
    if not origin or not allowed:
        return {}
    if origin not in allowed and "*" not in allowed:
        return {"vary": "origin"}
    return {"access-control-allow-origin": origin, "access-control-expose-headers": "*", "vary": "origin"}


def preflight_headers(headers: Mapping[str, str], allowed: tuple[str, ...]) -> dict[str, str]:
    """Return the answer to a preflight request (Fetch: CORS-preflight)."""
    answer = {"content-type": "text/plain", **cors_headers(headers.get("origin"), allowed)}
    if "access-control-allow-origin" in answer:
        answer["access-control-allow-methods"] = "GET, POST, DELETE"
        answer["access-control-allow-headers"] = headers.get("access-control-request-headers", "content-type")
        answer["access-control-max-age"] = "7200"
    return answer
