"""What a poll saw and did, for its log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from sluice.errors import SluiceError, describe_error

logger = Logger(child=True)


@dataclass(slots=True)
class PollReport:
    """Counts. ``failed``: jobs that could not be looked after; ``failure``: why Claude could not be asked."""

    jobs: int = 0
    in_progress: int = 0
    ended: int = 0
    cancelled: int = 0
    reconciled: int = 0
    pushed: int = 0
    told: int = 0
    failed: int = 0
    failure: str | None = None

    @contextmanager
    def going_on_after(self, job_id: str) -> Iterator[None]:
        """Log and count what goes wrong with one job in this block, so that the others are looked after all the same.

        The next poll tries it again.
        """
        try:
            yield
        except SluiceError as error:
            self.failed += 1
            logger.error("A job could not be looked after.", job_id=job_id, **describe_error(error))
