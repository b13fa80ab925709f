"""Is a model one that can do the work? Asked of the Models API before anything is spent, and remembered for hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sluice.claude.api import ClaudeApi, Model
from sluice.errors import ClaudeError

_REMEMBERED_SECONDS = 6 * 3600.0
# A file in which every line names another model must not become so many calls.
_MAX_MODELS = 50


class ModelCatalogue:
    """What the Models API says of models, for as long as a process lives, and not longer than some hours."""

    def __init__(self, claude: ClaudeApi, now: Callable[[], float] = time.time) -> None:
        self._claude = claude
        self._now = now
        self._known: dict[str, tuple[float, Model | None]] = {}

    def find(self, model_id: str) -> Model | None:
        """Return a model; None where there is none of that id. Raises ClaudeError where nobody could say."""
        read_at, model = self._known.get(model_id, (float("-inf"), None))
        if self._now() - read_at > _REMEMBERED_SECONDS:
            model = self._ask(model_id)
            self._known[model_id] = self._now(), model
        return model

    def _ask(self, model_id: str) -> Model | None:
        try:
            return self._claude.model(model_id)
        except ClaudeError as error:
            if error.http_status == 404:
                return None
            raise


class ModelCheck:
    """Checks the models of one job. ``notes`` says for a person what could not be checked, or will end soon."""

    def __init__(self, catalogue: ModelCatalogue, now: float) -> None:
        self._catalogue = catalogue
        self._now = now
        self._models: dict[str, Model | None] = {}
        self._unchecked: set[str] = set()
        self.notes: list[str] = []

    def problem(self, model_id: str, max_tokens: int) -> str | None:
        """Say what is wrong with a model, or with so large a ``max_tokens`` for it; None: nothing is known to be."""
        if model_id not in self._models and model_id not in self._unchecked:
            self._look_up(model_id)
        if model_id in self._unchecked:
            return None
        model = self._models[model_id]
        if model is None:
            return f"There is no model {model_id[:100]!r}."
        return self._problem_of(model) or _limit_problem(model, max_tokens)

    def _look_up(self, model_id: str) -> None:
        if len(self._models) >= _MAX_MODELS or self._unchecked:
            self._leave_unchecked(model_id, "")
            return
        try:
            model = self._models[model_id] = self._catalogue.find(model_id)
        except ClaudeError as error:
            self._leave_unchecked(model_id, f" ({error.error_type})")
            return
        if model and not self._problem_of(model) and model.lifecycle == "deprecated":
            end = f" and retires on {model.retires_at[:10]}" if model.retires_at else ""
            self.notes.append(f"The model {model_id} is deprecated{end}.")

    def _leave_unchecked(self, model_id: str, why: str) -> None:
        if not self._unchecked:
            self.notes.append(f"The model {model_id[:100]} could not be checked with the Models API{why}.")
        self._unchecked.add(model_id)

    def _problem_of(self, model: Model) -> str | None:
        if model.lifecycle == "retired" or _is_past(model.retires_at, self._now):
            when = f" on {model.retires_at[:10]}" if model.retires_at else ""
            return f"The model {model.id} was retired{when}."
        return None if model.takes_batches else f"The model {model.id} does not take batches."


def _limit_problem(model: Model, max_tokens: int) -> str | None:
    if model.max_tokens is None or max_tokens <= model.max_tokens:
        return None
    return f'"max_tokens" is {max_tokens}, but {model.id} gives {model.max_tokens} at most.'


def _is_past(moment: str | None, now: float) -> bool:
    if moment is None:
        return False
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        return False
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() <= now
