"""What all tasks, or those of one model, wait for: incidents, opened by what no task can get past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from sluice.claude.errors import cause_of_kind, concerns_message, kind_of_failure
from sluice.errors import AccountError, AwsError
from sluice.incidents import Incident, Incidents, IncidentView
from sluice.notify.channels import Notifier
from sluice.notify.incident_notice import Affected, tell_of_incident
from sluice.tasks.table import TaskTable
from sluice.tasks.task import Task

# A task held back by an incident fails while its caller can still read so.
_FAIL_EARLY_SECONDS = 3600.0

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class TaskHold:
    """A due task, and the open incident that keeps it from running."""

    task: Task
    incident: Incident

    @property
    def fails_at(self) -> float:
        """Return the time from which on the task does not wait, but fails."""
        return self.task.expires_at - min(_FAIL_EARLY_SECONDS, (self.task.expires_at - self.task.created_at) / 10)


@dataclass(frozen=True, slots=True)
class IncidentHolds:
    table: TaskTable
    incidents: Incidents
    notifier: Notifier
    default_model: str
    now: Callable[[], float]

    def find(self, task_id: str, view: IncidentView) -> TaskHold | None:
        """Find what a task has to wait for; None also where it is not due."""
        task = self.table.find(task_id) if view.open else None
        if task is None or task.status != "queued" or task.due_at > self.now():
            return None
        return next((TaskHold(task, each) for each in view.open if self._holds(each, task)), None)

    def _holds(self, incident: Incident, task: Task) -> bool:
        if task.model and cause_of_kind(incident.kind) == "not_found_error":
            # Whoever names a model that is missing is told so, and waits for nobody.
            return False
        return concerns_message(incident.kind, task.model or self.default_model)

    def affects_other_tasks(self, task: Task, failure: AccountError) -> bool:
        """Return whether other tasks will meet a failure too, and not only those of whoever named what is missing."""
        if failure.error_type != "not_found_error":
            return True
        # Claude API: the message of a missing model is "model: <name>". Anything else that is missing is a task's own.
        return task.model is None and str(failure).strip() == f"model: {self.default_model}"

    def begin(self, task: Task, failure: AccountError, seen: int) -> None:
        """Stop the queue for what no task can get past, and tell a person, once.

        ``seen`` is the version of incidents that was read before Claude was asked. Where one of that kind has ended
        since, nothing is stopped: the task asks again.
        """
        kind = kind_of_failure(failure, task.model or self.default_model)
        incident = self.incidents.open_incident(kind, str(failure), seen)
        if incident is None or not self.incidents.claim_notifying(incident):
            return
        try:
            tell_of_incident(self.incidents, self.notifier, incident, Affected(tasks=(task.id,)))
        except AwsError as error:
            # Without the mark, whoever meets the incident a minute from now tells.
            logger.warning("A notice of an incident could not be sent.", kind=kind, error=str(error))
