"""The streaming door's function: a Function URL with ``RESPONSE_STREAM``, run by the streaming runtime layer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from sluice.aws.stdlib_client import AwsAccess
from sluice.settings import StreamSettings
from sluice.streams.door import Context, Door
from sluice.streams.response import Response


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")


_door = Door.open(StreamSettings.from_env(os.environ), AwsAccess.from_env(os.environ), _log)


def handler(event: Mapping[str, Any], context: Context) -> Response:
    """Answer one call of the door."""
    return _door.answer(event, context)
