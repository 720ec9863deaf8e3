"""Builds `/api/v1` as an aiohttp application, from the operations of the resources beside it."""

import json
import re
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.api.answers import json_response, speak_problems
from gateway_proxy.admin.api.body import check_size, check_type, parse_document
from gateway_proxy.admin.api.openapi import describe
from gateway_proxy.admin.api.operation import Answer, Operation, perform
from gateway_proxy.admin.api.table import OPERATIONS
from gateway_proxy.admin.problem import Malformed, SignInNeeded, Stale
from gateway_proxy.admin.replays import HEADER
from gateway_proxy.admin.services import Admin

# A quoted tag may hold commas; `bare` is what stands between them without quotes, a number or a weak tag.
_TAG = re.compile(r'[ \t]*(?:"([^"]*)"|((?:W/"[^"]*"|[^",])+))')
_Endpoint = Callable[[web.Request], Awaitable[web.Response]]


def mount(app: web.Application, admin: Admin) -> None:
    """Serve the admin API below `/api/v1`. A middleware of the caller's puts the `Actor` into the request."""
    app.add_subapp("/api/v1", build_api(admin))


def build_api(admin: Admin, url: str = "/api/v1") -> web.Application:
    """The API as an application to be added to another one; `url` is where its description says that it is."""
    api = web.Application(middlewares=[speak_problems])
    for operation in OPERATIONS:
        _add_route(api, operation.method, operation.path, _make_endpoint(operation, admin))

    async def openapi(_: web.Request) -> web.Response:
        return json_response(_document(url))

    _add_route(api, "GET", "/openapi.json", openapi)
    return api


@cache  # made for the first who asks: it takes as long as the rest of the start
def _document(url: str) -> bytes:
    return orjson.dumps({**describe(OPERATIONS), "servers": [{"url": url}]})


def _add_route(api: web.Application, method: str, path: str, endpoint: _Endpoint) -> None:
    if method == "GET":
        api.router.add_get(path, endpoint)  # and HEAD
    else:
        api.router.add_route(method, path, endpoint)


def _make_endpoint(operation: Operation, admin: Admin) -> _Endpoint:
    async def endpoint(request: web.Request) -> web.Response:
        actor = request.get("actor")
        if not isinstance(actor, Actor):
            raise SignInNeeded("send an admin token as `Authorization: Bearer gwa_…`, or sign in")
        document = await _read_document(request) if operation.body is not None else None
        revisions = _read_revisions(request) if operation.if_match else None

        async def work() -> Answer:
            return await perform(
                operation, admin, actor,
                ids=request.match_info, query=list(request.query.items()), document=document, revisions=revisions,
            )  # fmt: skip

        value = request.headers.get(HEADER) if operation.idempotent else None
        if value is None:
            return _respond(operation, await work())

        async def pack() -> bytes:
            answer = await work()
            return orjson.dumps([answer.revision, answer.body])

        # Sorted, so that the order of members does not make another request; no body is an empty one.
        parts = [operation.name, dict(request.match_info), revisions, document or {}]
        asked = json.dumps(parts, sort_keys=True)
        kept, replayed = await admin.replays.once(actor, value, asked.encode(), pack)
        old_revision, body = orjson.loads(kept)
        return _respond(operation, Answer(body, old_revision), replayed=replayed)

    return endpoint


def _respond(operation: Operation, answer: Answer, *, replayed: bool = False) -> web.Response:
    headers = {} if answer.revision is None else {"ETag": f'"{answer.revision}"'}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_response(answer.body, operation.status, headers)


async def _read_document(request: web.Request) -> Any:
    """The parsed body, None without one. Raises Problem."""
    if not request.body_exists:
        return None
    check_size(request.content_length or 0)
    check_type(request.content_type, request.charset, request.headers.get("Content-Encoding", "").lower())
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            check_size(len(body))
    except (web.RequestPayloadError, BadHttpMessage) as error:
        raise Malformed(f"the body is not valid HTTP: {type(error).__name__}", code="invalid_body") from None
    return parse_document(bytes(body)) if body else None


def _read_revisions(request: web.Request) -> list[int] | None:
    """The revisions of `If-Match` (RFC 9110 section 13.1.1), any of which will do; `*` is every one. Weak tags match none."""
    values = request.headers.getall("If-Match", [])
    if not values or [value.strip() for value in values] == ["*"]:
        return None
    tags = [quoted or bare.strip() for quoted, bare in _TAG.findall(", ".join(values))]
    revisions = sorted({int(tag) for tag in tags if tag.isascii() and tag.isdecimal() and len(tag) <= 18})
    if not revisions:
        raise Stale('If-Match names no revision; send the number of one, such as "3"')
    return revisions
