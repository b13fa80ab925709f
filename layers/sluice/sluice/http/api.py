"""The frame of the API door, in which the routes of tasks and jobs hang: who calls, errors in the API's shape, CORS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice.access.guard import Caller, Guard
from sluice.errors import Forbidden, NotFound, RequestError, SluiceError, describe_error
from sluice.http.cors import cors_headers, is_preflight, preflight_headers
from sluice.http.errors import answer_for
from sluice.http.request import clean_path, direct_elsewhere

logger = Logger(child=True)
metrics = Metrics()


class Api:
    """The routes of some routers behind a Function URL. They ask ``caller_of`` who calls."""

    def __init__(self, guard: Guard, routers: Sequence[Router], allowed_origins: tuple[str, ...] = ()) -> None:
        self._resolver = _build_resolver(guard, routers)
        self._allowed_origins = allowed_origins

    def answer(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one call, with what lets a page of an allowed origin make it and read the answer."""
        headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
        method = str(event["requestContext"]["http"]["method"])
        if is_preflight(method, headers):
            return {"statusCode": 204, "headers": preflight_headers(headers, self._allowed_origins), "body": ""}
        answer = self._resolver.resolve({**event, "rawPath": clean_path(str(event.get("rawPath") or "/"))}, context)
        own = dict(answer.get("headers") or {})
        return {**answer, "headers": own | cors_headers(headers.get("origin"), self._allowed_origins)}


def _build_resolver(guard: Guard, routers: Sequence[Router]) -> LambdaFunctionUrlResolver:
    app = LambdaFunctionUrlResolver()

    def authenticate(app: LambdaFunctionUrlResolver, call_next: NextMiddleware) -> Response[Any]:
        event = app.current_event
        headers = {name.lower(): value for name, value in event.headers.items()}
        caller = guard.identify(headers, event.raw_event.get("requestContext") or {})
        app.append_context(caller=caller, headers=headers)
        return call_next(app)

    app.use(middlewares=[authenticate])
    for router in routers:
        app.include_router(router)
    _map_errors(app)
    return app


def caller_of(router: Router) -> Caller:
    """Return who makes the call that a route is answering."""
    return cast(Caller, router.context["caller"])


def operators_only(app: LambdaFunctionUrlResolver, call_next: NextMiddleware) -> Response[Any]:
    """Let only those through who may see and change what belongs to the whole stack. A middleware of a route."""
    caller: Caller = app.context["caller"]
    if not caller.is_operator:
        raise Forbidden(
            'This takes an operator: a key that was made with "--operator", or an IAM user or role that the parameter '
            "Operators names."
        )
    return call_next(app)


def headers_of(router: Router) -> Mapping[str, str]:
    """Return the headers of the call that a route is answering, their names in lower case."""
    return cast(Mapping[str, str], router.context["headers"])


def _map_errors(app: LambdaFunctionUrlResolver) -> None:
    def refuse(error: SluiceError) -> Response[str]:
        if not isinstance(error, RequestError):
            logger.warning("A call failed.", error=str(error), error_class=type(error).__name__)
        return error_response(error, app.lambda_context.aws_request_id)

    def refuse_route(_: NotFoundError) -> Response[str]:
        # The resolver does not say whether it is the path or the method that it does not know.
        path, method = app.current_event.path, app.current_event.http_method
        found = direct_elsewhere(path, "api") or "docs/tasks.md and docs/jobs.md name all calls of this door."
        error = NotFound(f"There is no {method} {path}. {found}")
        return error_response(error, app.lambda_context.aws_request_id)

    def admit_defect(error: Exception) -> Response[str]:
        logger.error("A call met a defect.", **describe_error(error))
        # It is answered, so that Lambda counts no error for it.
        metrics.add_metric("Defects", MetricUnit.Count, 1)
        metrics.flush_metrics()
        return error_response(error, app.lambda_context.aws_request_id)

    app.exception_handler(SluiceError)(refuse)
    app.exception_handler(NotFoundError)(refuse_route)
    app.exception_handler(Exception)(admit_defect)


def error_response(error: Exception, request_id: str) -> Response[str]:
    """Answer with an error in the API's shape (Claude API: Errors)."""
    answer = answer_for(error, request_id)
    headers = dict(answer.headers)
    return Response(answer.status, headers.pop("content-type"), answer.body.decode(), headers)


def json_response(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response[str]:
    """Answer with a JSON object."""
    return Response(status, "application/json", json.dumps(document, ensure_ascii=False), dict(headers or {}))
