"""Answers over HTTP: JSON, problems (RFC 9457), and the headers that all of them carry."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from gateway_proxy.admin.problem import (
    Conflict,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    SignInNeeded,
    TooMany,
    Unavailable,
    WrongMethod,
)
from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TYPE = "urn:gateway-proxy:problem:"
_MOST_ERRORS = 100
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_log = logging.getLogger(__name__)


class Fault(Problem):
    """A mistake of ours; the log has it."""

    status = 500
    code = "internal_error"
    title = "Internal error"


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON that no cache keeps. None as a body is an answer without one."""
    merged = _HEADERS | dict(headers or {})
    if body is None:
        return web.Response(status=status, headers=merged)
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return web.Response(body=content, status=status, headers=merged, content_type="application/json")


def problem_object(problem: Problem) -> dict[str, Any]:
    """The members of RFC 9457 with `code`, and `errors` by path."""
    errors = problem.errors[:_MOST_ERRORS] if isinstance(problem, Invalid) else ()
    return {
        "type": _TYPE + problem.code,
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "errors": [{"path": error.path, "message": error.message} for error in errors],
    }


def problem_response(problem: Problem) -> web.Response:
    """The problem as its answer."""
    headers = dict(_HEADERS)
    if isinstance(problem, SignInNeeded):
        headers["WWW-Authenticate"] = 'Bearer realm="gateway-proxy"'
    if isinstance(problem, WrongMethod):
        headers["Allow"] = ", ".join(problem.allowed)
    if isinstance(problem, TooMany):
        headers["Retry-After"] = str(problem.retry_after_seconds)
    return web.Response(
        body=orjson.dumps(problem_object(problem)),
        status=problem.status,
        headers=headers,
        content_type="application/problem+json",
    )


@web.middleware
async def speak_problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Whatever goes wrong below becomes a problem; what nobody expected goes to the log, not to the client."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem_response(problem)
    except web.HTTPException as error:
        return problem_response(_from_http(error))
    except NumberTooLarge as error:
        return problem_response(Malformed(str(error), code="bad_request"))
    except StoreConflict as error:
        return problem_response(Conflict(str(error)))
    except StoreError as error:
        return problem_response(Unavailable(str(error), code="store_unavailable"))
    except Exception:  # noqa: BLE001 - the last line of defence: a client never sees a traceback
        _log.exception("%s %s failed", request.method, request.match_info.route.name or "")
        return problem_response(Fault("something went wrong here; the log of the gateway has it"))


def _from_http(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPNotFound):
        return NotFound("there is no such route; see /api/v1/openapi.json")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        return WrongMethod(f"this route answers {', '.join(allowed)}", allowed)
    return Malformed(error.reason or "the request cannot be read", code="bad_request")
