"""Is a model one that can do the work? Asked of the Models API before anything is spent, and remembered for hours."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from sluice.claude.batches import MODEL_ID, ClaudeApi, ModelInfo
from sluice.errors import ClaudeError
from sluice.jobs.formats.prompts import settings_problem
from sluice.jobs.job_settings import EffectiveSettings

_REMEMBERED_SECONDS = 6 * 3600.0
# A file in which every line names another model must not become so many calls, nor a job with so many names in it.
_MAX_MODELS = 50
_MODEL_ID = re.compile(MODEL_ID)


class ModelCatalogue:
    """What the Models API says of models, for as long as a process lives, and not longer than some hours."""

    def __init__(self, claude: ClaudeApi, now: Callable[[], float] = time.time) -> None:
        self._claude = claude
        self._now = now
        self._known: dict[str, tuple[float, ModelInfo | None]] = {}

    def find(self, model_id: str) -> ModelInfo | None:
        """Return a model; None where there is none of that id. Raises ClaudeError where nobody could say."""
        read_at, model = self._known.get(model_id, (float("-inf"), None))
        if self._now() - read_at > _REMEMBERED_SECONDS:
            model = self._ask(model_id)
            self._known[model_id] = self._now(), model
        return model

    def _ask(self, model_id: str) -> ModelInfo | None:
        try:
            return self._claude.model(model_id)
        except ClaudeError as error:
            if error.http_status == 404:
                return None
            raise


class ModelCheck:
    """Checks the models of one job. ``notes`` says for a person what could not be checked, or will end soon.

    ``pinned`` has the job's settings; ``taken`` are its models that an earlier invocation found good.
    """

    def __init__(
        self, catalogue: ModelCatalogue, now: float, effective: EffectiveSettings, taken: Iterable[str] = ()
    ) -> None:
        self._catalogue = catalogue
        self._now = now
        self._effective = effective
        # Of others, only so many are asked about. Models that have a price are few, and most files name one.
        few = frozenset((*effective.prices.models, effective.model))
        self._expected = few.union(taken)
        self._others = len(self._expected) - len(few)
        self._models: dict[str, ModelInfo | None] = {}
        self._unchecked: set[str] = set()
        self.notes: list[str] = []

    def problem(self, model_id: str, max_tokens: int) -> str | None:
        """Return what is wrong with a model, or with so large a ``max_tokens`` for it; None: nothing that is known.

        Raises InputError where the model of the settings cannot give their ``retry_max_tokens``.
        """
        if model_id not in self._models and model_id not in self._unchecked:
            if not _MODEL_ID.match(model_id):
                return _no_such_model(model_id)
            if not self._may_ask(model_id):
                return f"The file names more than {_MAX_MODELS} models that have no price; this is a further one."
            self._look_up(model_id)
        if model_id in self._unchecked:
            return None
        model = self._models[model_id]
        if model is None:
            return _no_such_model(model_id)
        return self._problem_of(model) or _limit_problem(model, max_tokens)

    def _may_ask(self, model_id: str) -> bool:
        if model_id in self._expected:
            return True
        self._others += 1
        return self._others <= _MAX_MODELS

    def _look_up(self, model_id: str) -> None:
        if self._unchecked:
            self._leave_unchecked(model_id, "")
            return
        try:
            model = self._models[model_id] = self._catalogue.find(model_id)
        except ClaudeError as error:
            self._leave_unchecked(model_id, f" ({error.error_type})")
            return
        if model and not self._problem_of(model):
            self._note_end(model)
            self._check_retry(model_id, model)

    def _note_end(self, model: ModelInfo) -> None:
        if model.lifecycle == "deprecated":
            end = f" and retires on {model.retires_at[:10]}" if model.retires_at else ""
            self.notes.append(f"The model {model.id} is deprecated{end}.")

    def _check_retry(self, model_id: str, model: ModelInfo) -> None:
        wanted = self._effective.folder.retry_max_tokens or 0
        if model.max_tokens is None or wanted <= model.max_tokens:
            return
        problem = f'"retry_max_tokens" is {wanted}, but {model.id} gives {model.max_tokens} at most'
        if model_id == self._effective.model:
            raise settings_problem(self._effective, problem)
        # A line names it, and for others the setting may be right. Where asking again fails, the first answer stands.
        self.notes.append(f"{problem}: its answers that are cut off stay as they are.")

    def _leave_unchecked(self, model_id: str, why: str) -> None:
        if not self._unchecked:
            self.notes.append(f"The model {model_id} could not be checked with the Models API{why}.")
        self._unchecked.add(model_id)

    def _problem_of(self, model: ModelInfo) -> str | None:
        if model.lifecycle == "retired" or _is_past(model.retires_at, self._now):
            when = f" on {model.retires_at[:10]}" if model.retires_at else ""
            return f"The model {model.id} was retired{when}."
        return None if model.takes_batches else f"The model {model.id} does not take batches."


def _no_such_model(model_id: str) -> str:
    return f"There is no model {model_id[:100]!r}."


def _limit_problem(model: ModelInfo, max_tokens: int) -> str | None:
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
