"""The provider as a whole: routes, the bearer check, acceptance and bills, counters, and the test-only `/__…` routes.

`POST /__mode` sets the behaviour of requests without a directive (`times`: of so many, then honest again); `GET /__stats`,
`GET /__ledger`, and `GET /__idle?timeout=SECONDS`, which answers when nothing is running.
"""

import asyncio
import dataclasses
import hmac
import secrets
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from gateway_proxy.fake_provider import anthropic, gemini
from gateway_proxy.fake_provider.behaviour import HONEST, MODES, BehaviourError, parse_behaviour
from gateway_proxy.fake_provider.connection import Connection, Request
from gateway_proxy.fake_provider.gemini import GenerationArrayReply
from gateway_proxy.fake_provider.job import BadRequest, Job, parse_job
from gateway_proxy.fake_provider.kept import KeptResponses
from gateway_proxy.fake_provider.ledger import Ledger, read_ledger
from gateway_proxy.fake_provider.native import Address, find_credential, read_address, translate
from gateway_proxy.fake_provider.output import response_head
from gateway_proxy.fake_provider.perform import Exchange, perform
from gateway_proxy.fake_provider.reply import ChatReply, CompletionReply, Reply, error_body
from gateway_proxy.fake_provider.responses import ResponsesReply
from gateway_proxy.fake_provider.unary import (
    EmbeddingsReply,
    ImagesReply,
    ModerationsReply,
    RerankReply,
    SpeechReply,
    TranscriptionReply,
)
from gateway_proxy.fake_provider.usage import Count

MODELS = (
    "fake-large",
    "fake-small",
    "fake-embedding",
    "fake-image",
    "fake-speech",
    "whisper-fake",
    "fake-rerank",
)
REPLIES: dict[str, type[Reply]] = {
    "/v1/chat/completions": ChatReply,
    "/v1/completions": CompletionReply,
    "/v1/responses": ResponsesReply,
    "/v1/embeddings": EmbeddingsReply,
    "/v1/moderations": ModerationsReply,
    "/v1/images/generations": ImagesReply,
    "/v1/images/edits": ImagesReply,
    "/v1/images/variations": ImagesReply,
    "/v1/audio/speech": SpeechReply,
    "/v1/audio/transcriptions": TranscriptionReply,
    "/v1/audio/translations": TranscriptionReply,
    "/v1/rerank": RerankReply,
    "/v1/messages": anthropic.MessagesReply,
    "/v1/messages/count_tokens": anthropic.TokenCountReply,
    "generateContent": gemini.GenerationReply,
    "streamGenerateContent": gemini.GenerationReply,
    "countTokens": gemini.TokenCountReply,
    "embedContent": gemini.EmbeddingsReply,
    "batchEmbedContents": gemini.EmbeddingsReply,
}
_REMEMBERED_CLOSES = 1000
_SECRET_WORDS = ("key", "token", "auth", "secret")


@dataclasses.dataclass(slots=True)
class Stats:
    """Counters since the start. `requests` counts every request but the test-only ones; `closed_by_client` holds the last
    1000 exchanges whose client went away while they ran, with CLOCK_MONOTONIC seconds."""

    connections: int = 0
    open_connections: int = 0
    requests: int = 0
    refused: int = 0
    accepted: int = 0
    billed: int = 0
    active: int = 0
    max_active: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    closed_by_client: deque[dict[str, Any]] = dataclasses.field(
        default_factory=lambda: deque(maxlen=_REMEMBERED_CLOSES)
    )


class Service:
    """Serves requests; `new_connection` is the protocol factory. Raises OSError if the ledger cannot be written."""

    def __init__(self, ledger_path: Path | None, api_key: str | None) -> None:
        self.stats = Stats()
        self._ledger = Ledger(ledger_path) if ledger_path is not None else None
        self._api_key = api_key
        self._default = HONEST
        self._default_times: int | None = None
        self._prefix = "fake-" + secrets.token_hex(4)
        self._idle = asyncio.Event()
        self._idle.set()
        self._connections: set[Connection] = set()
        self._kept = KeptResponses()

    def new_connection(self) -> Connection:
        """The protocol of one client."""
        connection = Connection(self._serve, self._count_connection, self._lose)
        self._connections.add(connection)
        return connection

    async def shut_down(self, timeout_seconds: float) -> None:
        """Drop all clients, wait for the bills of what was running, close the ledger."""
        for connection in list(self._connections):
            connection.abort()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_seconds)
        except TimeoutError:
            pass
        if self._ledger is not None:
            self._ledger.close()

    def _count_connection(self) -> None:
        self.stats.connections += 1
        self.stats.open_connections += 1

    def _lose(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self.stats.open_connections -= 1
        exchange = connection.current
        if exchange is not None and connection.closed_monotonic is not None:
            closed = {
                "id": exchange.job.id,
                "model": exchange.job.model,
                "monotonic": connection.closed_monotonic,
            }
            self.stats.closed_by_client.append(closed)

    async def _serve(self, connection: Connection, request: Request) -> None:
        if request.path.startswith("/__"):
            await self._serve_admin(connection, request)
            return
        self.stats.requests += 1
        address = read_address(request.path, request.query)
        refusal = self._refuse(request, address)
        if refusal is not None:
            self.stats.refused += 1
            _send_json(connection, *refusal)
        elif (kept := self._kept.answer(request.method, request.path)) is not None:
            _send_json(connection, *kept)
        elif _asks_for_models(request):
            _send_models(connection, request.path.removeprefix("/v1/models").strip("/"))
        else:
            await self._serve_job(connection, request, address)

    def _refuse(self, request: Request, address: Address) -> tuple[int, dict[str, Any]] | None:
        bearer = find_credential(address.api, request.headers)
        if self._api_key is not None and not hmac.compare_digest(bearer.encode(), self._api_key.encode()):
            if not bearer:
                return 401, _error(address, 401, "You didn't provide an API key.")
            message = f"Incorrect API key provided: ****{bearer[-4:]}."
            return 401, _error(address, 401, message, code="invalid_api_key")
        if self._kept.serves(request.path):
            return None
        wanted = "GET" if _asks_for_models(request) else "POST"
        if wanted == "POST" and _find_reply(address) is None:
            return 404, _error(address, 404, f"Invalid URL ({request.method} {request.path})")
        if request.method != wanted:
            message = f"Not allowed to {request.method} on {request.path}; use {wanted}"
            return 405, _error(address, 405, message, code="method_not_supported")
        if address.api == "anthropic" and "anthropic-version" not in request.headers:
            return 400, _error(address, 400, "anthropic-version: header is required")
        return None

    async def _serve_job(self, connection: Connection, request: Request, address: Address) -> None:
        identifier = f"{self._prefix}-{self.stats.accepted + 1}"
        content_type = request.headers.get("content-type", "")
        try:
            job = parse_job(
                identifier,
                address.kind if address.api == "azure" else request.path,
                content_type,
                request.body,
                self._default,
                partial(translate, address),
            )
        except BehaviourError as error:
            self.stats.refused += 1
            _send_json(connection, 400, _error(address, 400, f"fake provider: {error}", code="directive"))
            return
        except BadRequest as error:
            self.stats.refused += 1
            _send_json(connection, 400, _error(address, 400, str(error), param=error.param))
            return
        previous = job.body.get("previous_response_id") if address.kind == "/v1/responses" else None
        if previous is not None and not self._kept.holds(str(previous)):
            self.stats.refused += 1
            message = f"Previous response with id '{previous}' not found."
            _send_json(connection, 404, _error(address, 404, message, param="previous_response_id"))
            return
        if job.behaviour is self._default:
            self._use_default_up()
        kind = _find_reply(address)
        assert kind is not None  # or it had been refused
        reply = kind(job)
        self._accept(job, request, find_credential(address.api, request.headers))
        connection.current = exchange = Exchange(connection, job, reply, self._bill)
        try:
            await perform(exchange)
        finally:
            if isinstance(reply, ResponsesReply):
                self._kept.keep(reply)
            exchange.bill("disconnected" if connection.closed else "failed")
            connection.current = None
            self.stats.active -= 1
            if not self.stats.active:
                self._idle.set()

    def _use_default_up(self) -> None:
        if self._default_times is not None:
            self._default_times -= 1
            if self._default_times <= 0:
                self._default, self._default_times = HONEST, None

    def _accept(self, job: Job, request: Request, credential: str) -> None:
        self.stats.accepted += 1
        self.stats.active += 1
        self.stats.max_active = max(self.stats.max_active, self.stats.active)
        self._idle.clear()
        if self._ledger is None:
            return
        headers = {
            name: _mask(name, value)
            for name, value in request.headers.items()
            if name.startswith(("x-", "anthropic-"))
        }
        attempts = [
            value for name, value in headers.items() if name.endswith("attempt") and value.isdecimal()
        ]
        self._ledger.append(
            "accepted",
            {
                "id": job.id,
                "path": job.path,
                "model": job.model,
                "mode": job.behaviour.mode,
                "stream": job.stream,
                "max_tokens": job.max_tokens,
                "body_bytes": len(request.body),
                "request_id": headers.get("x-request-id"),
                "traceparent": request.headers.get("traceparent"),
                "attempt": int(attempts[0]) if attempts else None,
                "authorization_last4": credential[-4:] or None,
                "headers": headers,
            },
        )

    def _bill(self, exchange: Exchange, count: Count, outcome: str) -> None:
        self.stats.billed += 1
        self.stats.prompt_tokens += count.prompt
        self.stats.completion_tokens += count.completion
        if self._ledger is None:
            return
        self._ledger.append(
            "billed",
            {
                "id": exchange.job.id,
                "outcome": outcome,
                "prompt_tokens": count.prompt,
                "completion_tokens": count.completion,
                "cached_tokens": count.cached,
                "reasoning_tokens": count.reasoning,
                "tail_bytes": exchange.tail_bytes,
                "units": exchange.reply.units() if count.prompt or count.completion else {},
            },
        )

    async def _serve_admin(self, connection: Connection, request: Request) -> None:
        if request.path == "/__mode" and request.method == "POST":
            _send_json(connection, *self._set_mode(request.body))
        elif request.path == "/__mode":
            _send_json(connection, 200, {"mode": self._default.mode, "modes": MODES})
        elif request.path == "/__stats":
            stats = {field.name: getattr(self.stats, field.name) for field in dataclasses.fields(Stats)}
            closed = list(self.stats.closed_by_client)
            _send_json(connection, 200, {**stats, "closed_by_client": closed, "monotonic": time.monotonic()})
        elif request.path == "/__ledger":
            entries = read_ledger(self._ledger.path) if self._ledger is not None else []
            _send_json(connection, 200, {"data": [dataclasses.asdict(entry) for entry in entries]})
        elif request.path == "/__idle":
            _send_json(
                connection, 200, {"idle": await self._wait_idle(request.query.get("timeout", ["10"])[0])}
            )
        else:
            _send_json(
                connection, 404, error_body(f"{request.path} is unknown", "invalid_request_error", None)
            )

    def _set_mode(self, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            values = orjson.loads(body)
            times = values.pop("times", None)
            self._default = dataclasses.replace(parse_behaviour(values))
            self._default_times = None if times is None else int(times)
        except (ValueError, AttributeError, TypeError) as error:
            return 400, error_body(f"fake provider: {error}", "invalid_request_error", "mode")
        return 200, dataclasses.asdict(self._default)

    async def _wait_idle(self, timeout_seconds: str) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), min(60.0, float(timeout_seconds)))
        except (TimeoutError, ValueError):
            return False
        return True


def _mask(name: str, value: str) -> str:
    return value[-4:] if any(word in name for word in _SECRET_WORDS) else value


def _find_reply(address: Address) -> type[Reply] | None:
    if address.as_array:
        return GenerationArrayReply
    return REPLIES.get(address.kind)


def _error(
    address: Address, status: int, message: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    if address.api == "anthropic":
        return anthropic.error_body(status, message)
    if address.api == "gemini":
        return gemini.error_body(status, message)
    return error_body(message, "invalid_request_error", code, param)


def _asks_for_models(request: Request) -> bool:
    path = request.path
    return path == "/v1/models" or (path.startswith("/v1/models/") and request.method == "GET")


def _send_models(connection: Connection, name: str) -> None:
    models = [{"id": model, "object": "model", "created": 1700000000, "owned_by": "fake"} for model in MODELS]
    if not name:
        _send_json(connection, 200, {"object": "list", "data": models})
        return
    found = [model for model in models if model["id"] == name]
    missing = error_body(
        f"The model '{name}' does not exist", "invalid_request_error", "model_not_found", "model"
    )
    _send_json(connection, 200 if found else 404, found[0] if found else missing)


def _send_json(connection: Connection, status: int, value: Any) -> None:
    body = orjson.dumps(value)
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    connection.write(response_head(status, headers) + body)
