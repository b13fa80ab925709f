"""What a release of Sluice leaves behind: its items, objects and messages, kept under tests/fixtures/releases.

``python -m tests.record_release`` writes them with the code that is checked out, once for each release. The tests of
upgrades put them into an AWS of their own and let the present code finish what it finds.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from moto.s3.models import s3_backends

from sluice.version import VERSION
from tests.world.aws import ACCOUNT

_KEPT = Path(__file__).resolve().parents[1] / "fixtures" / "releases"
RELEASES = Path(os.environ.get("RELEASES_DIR", _KEPT))
# Numbers between these are times: seconds from 2017 to 2049.
_TIMES = range(1_500_000_000, 2_500_000_000)


def releases() -> list[str]:
    """Return the versions whose state is kept."""
    return sorted(path.name for path in RELEASES.iterdir())


@dataclass(frozen=True)
class KeptObject:
    """An object of a bucket; ``body`` is base64."""

    bucket: str
    key: str
    version: str | None
    body: str


@dataclass(frozen=True)
class KeptMessage:
    """A message that was in a queue, ``delay`` seconds before it can be seen."""

    queue: str
    body: str
    delay: float


@dataclass
class State:
    """What was there at the time ``at``; ``items`` are those of DynamoDB's API, bytes in base64.

    ``expected`` is what has to become of it, in the words of each door's test.
    """

    at: float
    items: list[dict[str, Any]]
    objects: list[KeptObject] = field(default_factory=list)
    messages: list[KeptMessage] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)

    def save(self, door: str) -> None:
        """Keep it as the state that the present version leaves in a door."""
        folder = RELEASES / VERSION
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{door}.json").write_text(json.dumps(asdict(self), indent=1, sort_keys=True, default=_packed) + "\n")

    @classmethod
    def load(cls, version: str, door: str) -> State:
        """Read what a version has left in a door."""
        kept = json.loads((RELEASES / version / f"{door}.json").read_text())
        kept["objects"] = [KeptObject(**each) for each in kept["objects"]]
        kept["messages"] = [KeptMessage(**each) for each in kept["messages"]]
        return cls(**kept)

    def replace(self, texts: Mapping[str, str]) -> State:
        """Return it with other texts for some, such as the ids of batches, wherever they stand."""
        found = re.compile("|".join(map(re.escape, texts)) or "(?!)")
        # All at once: what one becomes may be what another was.
        values = json.loads(found.sub(lambda match: texts[match[0]], json.dumps(asdict(self))))
        return State(
            values["at"],
            values["items"],
            [KeptObject(**each) for each in values["objects"]],
            [KeptMessage(**each) for each in values["messages"]],
            values["expected"],
        )

    def moved(self, seconds: float) -> State:
        """Return it as if it had been left so many seconds later."""
        items = [{name: _moved(value, seconds) for name, value in item.items()} for item in self.items]
        for item in items:
            if item.get("open", {}).get("S") in ("TASK", "INCIDENT"):
                item["open_at"] = {"S": f"{float(item['open_at']['S']) + seconds:017.3f}"}
        return State(self.at + seconds, items, self.objects, self.messages, self.expected)


def dump_items(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    """Read a whole table."""
    items: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def restore_items(dynamodb: Any, table: str, state: State) -> None:
    """Let a table hold what was left, and nothing else."""
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    for item in state.items:
        dynamodb.put_item(TableName=table, Item={name: _unpacked(value) for name, value in item.items()})


def dump_objects(client: Any, *buckets: str) -> list[KeptObject]:
    """Read all objects of some buckets, with their versions."""
    kept = []
    for bucket in buckets:
        for each in reversed(client.list_object_versions(Bucket=bucket).get("Versions", [])):
            version = None if each["VersionId"] == "null" else each["VersionId"]
            named = {"VersionId": version} if version else {}
            body = client.get_object(Bucket=bucket, Key=each["Key"], **named)["Body"].read()
            kept.append(KeptObject(bucket, each["Key"], version, base64.b64encode(body).decode()))
    return kept


def restore_objects(client: Any, state: State) -> None:
    """Put objects back, under the versions that they had."""
    for each in state.objects:
        client.put_object(Bucket=each.bucket, Key=each.key, Body=base64.b64decode(each.body))
        if each.version:
            # S3 gives a version of its own; jobs name the one that they were made of.
            stored: Any = s3_backends[ACCOUNT]["aws"].buckets[each.bucket].keys[each.key]
            stored._version_id = each.version


def _packed(value: object) -> str:
    assert isinstance(value, bytes)
    return base64.b64encode(value).decode()


def _unpacked(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64decode(value["B"])} if "B" in value else value


def _moved(value: Any, seconds: float) -> Any:
    match value:
        case {"N": number} if "." in number or int(number) in _TIMES:
            later = float(number) + seconds if int(float(number)) in _TIMES else float(number)
            return {"N": f"{later:.3f}".rstrip("0").rstrip(".") if later != float(number) else number}
        case {"M": inner}:
            return {"M": {name: _moved(each, seconds) for name, each in inner.items()}}
        case {"L": inner}:
            return {"L": [_moved(each, seconds) for each in inner]}
        case _:
            return value
