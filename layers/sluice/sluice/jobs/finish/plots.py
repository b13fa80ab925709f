"""Plots as inline SVG, drawn with the colours of the page's style sheet. Pure.

Each is 360 units wide, the width of a phone, so that its text is never scaled below what can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 360
_COLUMNS_HEIGHT = 168
_TOP, _BOTTOM, _LEFT = 22, 26, 4
_ROW = 44
# So that one error among a million requests can be seen.
_LEAST_WIDTH = 3.0
_LABELS = 7
_BAR_HEIGHT = 26


@dataclass(frozen=True, slots=True)
class Bar:
    """``style`` is a class of the style sheet; ``value`` is how ``amount`` reads."""

    label: str
    amount: float
    value: str
    style: str = "plain"


def share_bar(bars: Sequence[Bar], title: str) -> str:
    """Draw shares of a whole as one bar."""
    shown = [bar for bar in bars if bar.amount > 0]
    total = sum(bar.amount for bar in shown)
    widths = _widths([bar.amount / total for bar in shown]) if total else []
    pieces, x = [], 0.0
    for bar, width in zip(shown, widths, strict=True):
        pieces.append(_rect(x, 0, max(width - 1.5, 1.5), _BAR_HEIGHT, bar))
        x += width
    return _svg(pieces, _BAR_HEIGHT, title)


def _widths(shares: Sequence[float]) -> list[float]:
    """Share out the width, none with less than can be seen; the largest gives what the others need."""
    widths = [max(share * WIDTH, _LEAST_WIDTH) for share in shares]
    widths[widths.index(max(widths))] -= sum(widths) - WIDTH
    return widths


def row_bars(bars: Sequence[Bar], title: str) -> str:
    """Draw amounts below each other, each with its label and value."""
    most = max((bar.amount for bar in bars), default=0) or 1
    pieces = []
    for row, bar in enumerate(bars):
        y = row * _ROW
        pieces.append(f'<text x="0" y="{y + 14}">{escape(_short(bar.label))}</text>')
        pieces.append(f'<text x="{WIDTH}" y="{y + 14}" class="value end">{escape(bar.value)}</text>')
        pieces.append(_rect(0, y + 20, max(bar.amount / most * WIDTH, 2.0), 12, bar))
    return _svg(pieces, max(len(bars) * _ROW - 8, 12), title)


def column_bars(bars: Sequence[Bar], title: str) -> str:
    """Draw a histogram: columns side by side, the tallest with its value."""
    most = max((bar.amount for bar in bars), default=0) or 1
    base, step = _COLUMNS_HEIGHT - _BOTTOM, (WIDTH - 2 * _LEFT) / max(len(bars), 1)
    every = -(-len(bars) // _LABELS)
    tallest = max(range(len(bars)), key=lambda index: bars[index].amount, default=0)
    pieces = [f'<line x1="0" y1="{base}" x2="{WIDTH}" y2="{base}" class="axis"/>']
    for index, bar in enumerate(bars):
        x, height = _LEFT + index * step, (base - _TOP) * bar.amount / most
        if bar.amount > 0:
            pieces.append(_rect(x + 1, base - max(height, 1.5), max(step - 2, 1), max(height, 1.5), bar))
        if index % every == 0:
            pieces.append(
                f'<text x="{x + step / 2:.1f}" y="{base + 17}" class="small middle">{escape(bar.label)}</text>'
            )
        if index == tallest and bar.amount > 0:
            middle = min(max(x + step / 2, 30), WIDTH - 30)
            pieces.append(
                f'<text x="{middle:.1f}" y="{_TOP - 7}" class="small value middle">{escape(bar.value)}</text>'
            )
    return _svg(pieces, _COLUMNS_HEIGHT, title)


def _rect(x: float, y: float, width: float, height: float, bar: Bar) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" class="{bar.style}"'
    return f"<rect {shape}><title>{escape(bar.label)}: {escape(bar.value)}</title></rect>"


def _svg(pieces: Iterable[str], height: float, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{"".join(pieces)}</svg>'


def _short(label: str, length: int = 34) -> str:
    return label if len(label) <= length else label[: length - 3] + "..."


def length_buckets(counts: dict[int, int]) -> list[tuple[str, int]]:
    """Label a histogram whose bucket b begins with 2**(b-1) tokens (0: none), without the empty ones at its ends."""
    if not counts:
        return []
    full = [(_tokens(1 << (bucket - 1) if bucket else 0), counts.get(bucket, 0)) for bucket in range(max(counts) + 1)]
    return _trimmed(full)


def _tokens(number: int) -> str:
    if number >= 1 << 20:
        return f"{number >> 20}M"
    return f"{number >> 10}k" if number >= 1 << 10 else str(number)


def _trimmed(buckets: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Leave out empty buckets at both ends, but for one on each side where there is one."""
    filled = [index for index, (_, number) in enumerate(buckets) if number]
    return buckets[max(filled[0] - 1, 0) : filled[-1] + 2] if filled else []
