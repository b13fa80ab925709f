"""The routes of tasks and incidents: HTTP in, one call of the door, JSON out."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from sluice.access.guard import Caller
from sluice.api import base_url, json_response, read_body
from sluice.errors import InvalidRequest, NotFound
from sluice.incidents import Incidents
from sluice.tasks.door import TaskDoor
from sluice.tasks.views import iso_time, task_view

DEFAULT_PAGE = 20

router = Router()


def _door() -> TaskDoor:
    return cast(TaskDoor, router.context["tasks"])


def _caller() -> Caller:
    return cast(Caller, router.context["caller"])


@router.post("/v1/tasks")
def create_task() -> Response[str]:
    event = router.current_event.raw_event
    task = _door().submit(_caller(), read_body(event), router.context["headers"], base_url(event))
    return json_response(202, task_view(task), {"location": task.status_url})


@router.get("/v1/tasks")
def list_tasks() -> Response[str]:
    query = router.current_event.query_string_parameters or {}
    page = _door().list_tasks(_caller(), query.get("status"), _limit(query.get("limit")), query.get("after_id"))
    data = [task_view(task) for task in page.tasks]
    return json_response(200, {"data": data, "has_more": page.last_id is not None, "last_id": page.last_id})


@router.get("/v1/tasks/<task_id>")
def read_task(task_id: str) -> Response[str]:
    return json_response(200, task_view(*_door().read(_caller(), task_id)))


@router.delete("/v1/tasks/<task_id>")
def cancel_task(task_id: str) -> Response[str]:
    return json_response(200, task_view(_door().cancel(_caller(), task_id)))


@router.post("/v1/tasks/<task_id>/redeliver")
def redeliver_task(task_id: str) -> Response[str]:
    return json_response(202, task_view(_door().redeliver(_caller(), task_id)))


@router.get("/v1/incidents")
def list_incidents() -> Response[str]:
    found = cast(Incidents, router.context["incidents"]).list_open()
    data: list[dict[str, Any]] = [
        {"kind": each.kind, "message": each.message, "opened_at": iso_time(each.opened_at)} for each in found
    ]
    return json_response(200, {"data": data})


@router.post("/v1/incidents/<kind>/release")
def release_incident(kind: str) -> Response[str]:
    kind = unquote(kind)
    if not cast(Incidents, router.context["incidents"]).release(kind):
        raise NotFound("There is no open incident of this kind.")
    return json_response(200, {"kind": kind, "status": "released"})


def _limit(value: str | None) -> int:
    try:
        return int(value) if value else DEFAULT_PAGE
    except ValueError:
        raise InvalidRequest("limit: has to be a whole number.") from None
