"""The Claude API as an ASGI application: finds the endpoint, checks key and version, applies the scripted faults."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from simulator import batch_endpoints, endpoints
from simulator.answers import Answer, error_answer
from simulator.connection import Call, ClientLeft
from simulator.delivery import deliver, refusal
from simulator.errors import ApiError
from simulator.faults import NO_FAULTS, CallFaults, Refuse, faults_of_call
from simulator.params import VERSIONS
from simulator.state import State
from simulator.subjects import subject_of_call

ORGANIZATION = "5b1c7e0a-3d42-4c86-9f0e-51a1ce000001"

Handler = Callable[[State, Call, bytes, CallFaults], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the API."""

    operation: str
    method: str
    path: re.Pattern[str]
    handler: Handler


def _endpoint(operation: str, method: str, path: str, handler: Handler) -> Endpoint:
    return Endpoint(operation, method, re.compile(path.replace("{id}", "[^/]+")), handler)


_BATCH = "/v1/messages/batches/{id}"
ENDPOINTS = (
    _endpoint("messages", "POST", "/v1/messages", endpoints.create_message),
    _endpoint("count_tokens", "POST", "/v1/messages/count_tokens", endpoints.count_tokens),
    _endpoint("models.list", "GET", "/v1/models", endpoints.list_models),
    _endpoint("models.retrieve", "GET", "/v1/models/{id}", endpoints.retrieve_model),
    _endpoint("batches.create", "POST", "/v1/messages/batches", batch_endpoints.create_batch),
    _endpoint("batches.list", "GET", "/v1/messages/batches", batch_endpoints.list_batches),
    _endpoint("batches.retrieve", "GET", _BATCH, batch_endpoints.retrieve_batch),
    _endpoint("batches.delete", "DELETE", _BATCH, batch_endpoints.delete_batch),
    _endpoint("batches.cancel", "POST", f"{_BATCH}/cancel", batch_endpoints.cancel_batch),
    _endpoint("batches.results", "GET", f"{_BATCH}/results", batch_endpoints.download_results),
)


class Api:
    """Answers calls of the Claude API."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, and record it."""
        endpoint = _find(scope["method"], scope["path"])
        operation = "unknown" if endpoint is None else endpoint.operation
        call = Call(scope, receive, send, number=self._state.journal.next_number(), operation=operation)
        self._state.journal.add(call.record)
        try:
            await self._answer(endpoint, call)
        except ClientLeft:
            return
        finally:
            call.close()

    async def _answer(self, endpoint: Endpoint | None, call: Call) -> None:
        try:
            # The body of a batch is taken in by its endpoint, piece by piece.
            streamed = call.record.operation == "batches.create"
            body = b"" if streamed else await call.read_body(endpoints.MAX_MESSAGE_BYTES)
        except ApiError as error:
            call.watch()
            await deliver(call, error_answer(error, call.record.request_id), NO_FAULTS, self._headers(call))
            return
        faults = NO_FAULTS
        if self._state.faults.entries:
            faults = faults_of_call(self._state.faults, subject_of_call(call, body))
            call.record.faults = list(faults.rules)
        if (refuse := faults.get(Refuse)) is not None:
            answer = refusal(refuse, call.record.request_id)
        else:
            answer = await self._carry_out(endpoint, call, body, faults)
        await call.drain_body()
        call.watch()
        await deliver(call, answer, faults, self._headers(call))

    async def _carry_out(self, endpoint: Endpoint | None, call: Call, body: bytes, faults: CallFaults) -> Answer:
        try:
            _check_credentials(call)
            if endpoint is None:
                raise _no_endpoint(call)
            return await endpoint.handler(self._state, call, body, faults)
        except ApiError as error:
            return error_answer(error, call.record.request_id)

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"request-id": call.record.request_id, "anthropic-organization-id": ORGANIZATION}
        if call.method == "POST":
            headers |= self._state.limits.headers(self._state.clock.now())
        return headers


def _find(method: str, path: str) -> Endpoint | None:
    for endpoint in ENDPOINTS:
        if endpoint.method == method and endpoint.path.fullmatch(path):
            return endpoint
    return None


def _no_endpoint(call: Call) -> ApiError:
    if any(endpoint.path.fullmatch(call.path) for endpoint in ENDPOINTS):
        return ApiError(405, f"Method {call.method} is not allowed here.")
    return ApiError(404, "Not found")


def _check_credentials(call: Call) -> None:
    if not call.key:
        raise ApiError(401, "x-api-key header is required")
    if not call.version:
        raise ApiError(400, "anthropic-version: header is required")
    if call.version not in VERSIONS:
        raise ApiError(400, f'anthropic-version: "{call.version}" is not a valid version')
