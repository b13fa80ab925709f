"""Act on what the plan queue brings."""

from __future__ import annotations

from sluice.aws.objects import Objects
from sluice.errors import Conflict, InputError, NotFound, ObjectNotFound
from sluice.jobs.batches.control import cancel_job, release_job
from sluice.jobs.inputs.reasons import shorten
from sluice.jobs.model import Upload
from sluice.jobs.pinned import check_settings_object
from sluice.jobs.planning.arrivals import Arrival, Command, Continuation, SettingsChanged
from sluice.jobs.planning.plan import Planner


def receive(planner: Planner, arrival: Arrival) -> str:
    """Act on one arrival; say in a few words, fit for a log, what came of it. Raises AwsError to be tried again."""
    match arrival:
        case Upload():
            job = planner.take_upload(arrival)
            return f"job {job.job_id} is {job.status}"
        case Continuation(job_id, checkpoint_key):
            known = planner.take_job(job_id, checkpoint_key)
            return f"job {job_id} is {known.status}" if known else f"there is no job {job_id}"
        case Command():
            return _obey(planner, arrival)
        case SettingsChanged():
            return _look_at(planner.services.objects, arrival)


def _obey(planner: Planner, command: Command) -> str:
    """Carry out a command. One that comes too late, or again, is answered and forgotten."""
    carry_out = release_job if command.verb == "release" else cancel_job
    try:
        job = carry_out(planner.services, command.job_id)
    except (NotFound, Conflict) as error:
        return f"{command.verb} refused: {error}"
    return f"{command.verb}: job {job.job_id} is {job.status}"


def _look_at(objects: Objects, changed: SettingsChanged) -> str:
    """Read new settings, so that a mistake shows in the log before a file is held for it."""
    try:
        check_settings_object(objects, changed.bucket, changed.key)
    except (InputError, ObjectNotFound) as error:
        return f"settings that cannot be used: {shorten(str(error))}"
    return f"settings {changed.key} read"
