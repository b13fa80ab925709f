"""The frame of the API door, in which the routes of tasks and jobs hang: who calls, errors in the API's shape, CORS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import CORSConfig, LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.metrics import MetricUnit

from sluice.access.guard import Caller, Guard
from sluice.errors import Forbidden, NotFound, RequestError, SluiceError, describe_error
from sluice.http.errors import answer_for

_CORS_SECONDS = 7200

logger = Logger(child=True)
metrics = Metrics()


def build_api(
    guard: Guard, routers: Sequence[Router], allowed_origins: Sequence[str] = ()
) -> LambdaFunctionUrlResolver:
    """Put routers under one resolver. Their routes ask ``caller_of`` who calls."""
    app = LambdaFunctionUrlResolver(cors=_cors(allowed_origins))

    def authenticate(app: LambdaFunctionUrlResolver, call_next: NextMiddleware) -> Response[Any]:
        event = app.current_event
        if event.http_method != "OPTIONS":
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
        path = app.current_event.path
        return error_response(NotFound(f"There is no {path} with this method."), app.lambda_context.aws_request_id)

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


def _cors(allowed_origins: Sequence[str]) -> CORSConfig | None:
    if not allowed_origins:
        return None
    first, *others = allowed_origins
    return CORSConfig(
        allow_origin=first,
        extra_origins=others,
        allow_headers=["Idempotency-Key", "anthropic-beta", "anthropic-version"],
        expose_headers=["request-id", "retry-after"],
        max_age=_CORS_SECONDS,
    )
