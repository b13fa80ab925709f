"""The routes of tasks and incidents: HTTP in, one call of the door, JSON out."""

from __future__ import annotations

from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from sluice.errors import InvalidRequest, NotFound
from sluice.http.api import caller_of, headers_of, json_response, operators_only
from sluice.http.request import base_url, read_body
from sluice.incidents import Incidents
from sluice.tasks.operations import TaskService
from sluice.tasks.task import task_view
from sluice.timestamps import rfc3339

DEFAULT_PAGE = 20


class TaskRoutes:
    """Hang ``router`` into the API."""

    def __init__(self, door: TaskService, incidents: Incidents) -> None:
        self.router = Router()
        self._door = door
        self._incidents = incidents
        self.router.post("/v1/tasks")(self.create)
        self.router.get("/v1/tasks")(self.list)
        self.router.get("/v1/tasks/<task_id>")(self.read)
        self.router.delete("/v1/tasks/<task_id>")(self.cancel)
        self.router.post("/v1/tasks/<task_id>/redeliver")(self.redeliver)
        self.router.get("/v1/incidents", middlewares=[operators_only])(self.list_incidents)
        self.router.post("/v1/incidents/<kind>/release", middlewares=[operators_only])(self.release_incident)

    def create(self) -> Response[str]:
        event = self.router.current_event.raw_event
        task = self._door.submit(caller_of(self.router), read_body(event), headers_of(self.router), base_url(event))
        return json_response(202, task_view(task), {"location": task.status_url})

    def list(self) -> Response[str]:
        query = self.router.current_event.query_string_parameters or {}
        limit, after_id = _limit(query.get("limit")), query.get("after_id")
        page = self._door.list_tasks(caller_of(self.router), query.get("status"), limit, after_id)
        data = [task_view(task) for task in page.tasks]
        return json_response(200, {"data": data, "has_more": page.last_id is not None, "last_id": page.last_id})

    def read(self, task_id: str) -> Response[str]:
        return json_response(200, task_view(*self._door.read(caller_of(self.router), task_id)))

    def cancel(self, task_id: str) -> Response[str]:
        return json_response(200, task_view(self._door.cancel(caller_of(self.router), task_id)))

    def redeliver(self, task_id: str) -> Response[str]:
        return json_response(202, task_view(self._door.redeliver(caller_of(self.router), task_id)))

    def list_incidents(self) -> Response[str]:
        data = [
            {"kind": each.kind, "message": each.message, "opened_at": rfc3339(each.opened_at)}
            for each in self._incidents.list_open()
        ]
        return json_response(200, {"data": data})

    def release_incident(self, kind: str) -> Response[str]:
        kind = unquote(kind)
        if not self._incidents.release(kind):
            raise NotFound("There is no open incident of this kind.")
        return json_response(200, {"kind": kind, "status": "released"})


def _limit(value: str | None) -> int:
    try:
        return int(value) if value else DEFAULT_PAGE
    except ValueError:
        raise InvalidRequest("limit: has to be a whole number.") from None
