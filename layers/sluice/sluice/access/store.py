"""Client keys in the table, and the pepper of their seals.

All keys, revoked ones too, stand in the table's index of open things, so that they can be listed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from sluice.access.keys import PEPPER_BYTES, KeyText, make_key
from sluice.aws.dynamodb import Item, Put, Table, Update
from sluice.errors import ConditionFailed, NotFound
from sluice.table_keys import OPEN_CLIENT_KEYS, PEPPER_KEY, client_key, open_client_key


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a key may do. No models: all of them; an entry may end in ``*``. ``rate`` in requests per minute and
    ``budget`` in US dollars (estimated) per calendar month, UTC; None: no limit. ``operator``: it may see, release and
    cancel jobs, and release incidents, which belong to the stack and not to a key."""

    name: str
    models: tuple[str, ...] = ()
    rate: int | None = None
    budget: float | None = None
    operator: bool = False

    @property
    def bind_params(self) -> bool:
        """Whether it matters what a call says beside its model: there is a budget, or a list of models."""
        return bool(self.models) or self.budget is not None

    def allows(self, model: str) -> bool:
        """Return whether the key may use a model."""
        return not self.models or any(
            model == each or (each.endswith("*") and model.startswith(each[:-1])) for each in self.models
        )


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is kept. Times in epoch seconds."""

    id: str
    terms: KeyTerms
    created_at: int
    revoked_at: int | None = None
    hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class KeyStore:
    """The keys of one stack."""

    table: Table

    def create(self, terms: KeyTerms, now: float | None = None) -> KeyText:
        """Make a key and return its text, which is kept nowhere."""
        text = make_key(self._pepper_or_new())
        created_at = int(time.time() if now is None else now)
        self.table.put(Put(_to_item(KeyRecord(text.id, terms, created_at, hash=text.hash))))
        return text

    def find(self, key_id: str) -> KeyRecord | None:
        """Read a key by its id."""
        item = self.table.get(client_key(key_id))
        return _from_item(item) if item else None

    def list_keys(self) -> Iterator[KeyRecord]:
        """Yield all keys, the oldest first."""
        return map(_from_item, self.table.open(OPEN_CLIENT_KEYS))

    def revoke(self, key_id: str, now: float | None = None) -> None:
        """Take a key out of use, for good. Raises NotFound."""
        revoked_at = int(time.time() if now is None else now)
        try:
            self.table.update(Update(client_key(key_id), set={"revoked_at": revoked_at}, where={"revoked_at": None}))
        except ConditionFailed:
            if self.find(key_id) is None:
                raise NotFound(f"There is no key with the id {key_id!r}.") from None

    def pepper(self) -> bytes | None:
        """Read the pepper; None in a stack that has never made a key."""
        item = self.table.get(PEPPER_KEY)
        return item["pepper"] if item else None

    def _pepper_or_new(self) -> bytes:
        if (pepper := self.pepper()) is not None:
            return pepper
        with suppress(ConditionFailed):  # Somebody else may just have made the first key.
            self.table.put(Put({**PEPPER_KEY.attributes(), "pepper": os.urandom(PEPPER_BYTES)}))
        pepper = self.pepper()
        assert pepper is not None
        return pepper


def _to_item(record: KeyRecord) -> dict[str, object]:
    return {
        **client_key(record.id).attributes(),
        "open": OPEN_CLIENT_KEYS,
        "open_at": open_client_key(record.created_at, record.id),
        "key_id": record.id,
        "hash": record.hash,
        "name": record.terms.name,
        "models": record.terms.models,
        "rate": record.terms.rate,
        "budget": record.terms.budget,
        "operator": record.terms.operator,
        "created_at": record.created_at,
        "revoked_at": record.revoked_at,
    }


def _from_item(item: Item) -> KeyRecord:
    models, operator = tuple(item.get("models", ())), bool(item.get("operator"))
    terms = KeyTerms(item["name"], models, item.get("rate"), item.get("budget"), operator)
    return KeyRecord(item["key_id"], terms, item["created_at"], item.get("revoked_at"), item["hash"])
