"""``python -m bench.batches [--quick]`` prints all that is measured of the batch door, as Markdown."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from bench.batches import costs, side_by_side, sizes
from bench.batches.surroundings import open_place
from bench.tables import provenance
from local.template import load_template


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    beside: int
    rounds: int
    sizes: tuple[int, ...]


FULL = Extent(100_000, 3, (1_000, 100_000, 1_000_000))
QUICK = Extent(5_000, 1, (100, 1_000, 10_000))


def measure(extent: Extent) -> None:
    """Measure, and print each table as soon as it is there."""
    with open_place() as place:
        _print(
            f"Side by side: {extent.beside:,} requests of 1.1 kB",
            side_by_side.describe(side_by_side.run_rounds(place, extent.beside, extent.rounds)),
            f"Median of {extent.rounds} rounds; the ratios are medians of each round's own.",
        )
        jobs = [sizes.run_job(place, size) for size in extent.sizes]
    _print("Memory of each step", sizes.describe_memory(jobs))
    largest, template, prices = jobs[-1], load_template(), costs.read_prices()
    _print(f"{largest.requests:,} requests through the whole path", sizes.describe_path(largest))
    about = f"{prices.source}, {prices.date}."
    _print("Cost of a million requests, but for Claude", costs.describe_steps(largest, template, prices), about)
    _print("Growth to a billion", costs.describe_growth(largest, template, prices))
    _print("Standing cost", costs.describe_standing(template, prices))


def _print(title: str, *paragraphs: str) -> None:
    print(f"## {title}\n", *(f"{each}\n" for each in paragraphs), sep="\n", flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.batches", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that it works; its figures mean little")
    quick = parser.parse_args(arguments).quick
    print(provenance(["python", "-m", "bench", "batches", *arguments]) + "\n")
    measure(QUICK if quick else FULL)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
