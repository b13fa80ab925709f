"""Counts, money and spans of time as a person reads them; plain ASCII, since SNS takes nothing else in a subject."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def count(number: int, noun: str = "") -> str:
    """Write ``1,234 lines``; a noun gets its plural s by the number."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def compact(number: int) -> str:
    """Write a large count in about three digits: ``13.8 M``."""
    for unit, one, least in (("G", 10**9, 999_500_000), ("M", 10**6, 999_500), ("k", 10**3, 10**4)):
        if number >= least:
            return f"{number / one:.0f} {unit}" if number >= 100 * one else f"{number / one:.1f} {unit}"
    return f"{number:,}"


def dollars(amount: float) -> str:
    """Write US dollars, with as many digits as matter."""
    if 0 < amount < 0.01:
        return "less than $0.01"
    return f"${amount:,.2f}"


def about_dollars(amount: float) -> str:
    """Write an estimate: ``about $1.20``, ``less than $0.01``."""
    return dollars(amount) if 0 < amount < 0.01 else f"about {dollars(amount)}"


def duration(seconds: float) -> str:
    """Write a time span in its two largest units: ``45 s``, ``12 min 5 s``, ``3 h 20 min``, ``1 d 2 h``."""
    whole = max(round(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(whole, large)
    second = rest // small
    return f"{first} {large_name} {second} {small_name}" if second else f"{first} {large_name}"


def share(part: int, whole: int) -> str:
    """Write a percentage that is 0 or 100 only where it is so exactly."""
    if not whole or part == whole:
        return "100 %"
    if not part:
        return "0 %"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"
