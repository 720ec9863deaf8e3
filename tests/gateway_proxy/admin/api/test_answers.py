"""Whatever goes wrong is a problem with the right headers, and never says more than it should."""

import json
import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway_proxy.admin.api.answers import json_response, problem_object, problem_response, speak_problems
from gateway_proxy.admin.problem import (
    Invalid,
    NotFound,
    Problem,
    SignInNeeded,
    TooMany,
    Unavailable,
    WrongMethod,
)
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError

MEMBERS = ["type", "title", "status", "code", "detail", "errors"]


def test_members_are_those_of_rfc_9457_and_ours() -> None:
    shown = problem_object(Invalid([FieldError("a", "is bad")]))
    assert list(shown) == MEMBERS
    assert shown["type"] == "urn:gateway-proxy:problem:invalid"
    assert shown["errors"] == [{"path": "a", "message": "is bad"}]
    assert problem_object(NotFound("gone"))["errors"] == []


def test_a_flood_of_mistakes_is_cut() -> None:
    assert len(problem_object(Invalid([FieldError("a", "b")] * 5000))["errors"]) == 100


@pytest.mark.parametrize(
    ("problem", "header", "value"),
    [
        (SignInNeeded("no"), "WWW-Authenticate", 'Bearer realm="gateway-proxy"'),
        (WrongMethod("no", ["GET", "POST"]), "Allow", "GET, POST"),
        (TooMany("no", 30), "Retry-After", "30"),
        (NotFound("no"), "Cache-Control", "no-store"),
    ],
)
def test_headers(problem: Problem, header: str, value: str) -> None:
    answer = problem_response(problem)
    assert (answer.headers[header], answer.content_type) == (value, "application/problem+json")


def test_json_and_nothing() -> None:
    assert json_response({"a": 1}, 201, {"ETag": '"1"'}).headers["ETag"] == '"1"'
    nothing = json_response(None, 204)
    assert (nothing.status, nothing.body) == (204, None)
    assert nothing.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (NotFound("gone"), 404, "not_found"),
        (Unavailable("later"), 503, "gateway_unavailable"),
        (StoreError("the store is locked"), 503, "store_unavailable"),
        (StoreConflict("taken"), 409, "conflict"),
        (NumberTooLarge("too large"), 400, "bad_request"),
        (web.HTTPNotFound(), 404, "not_found"),
        (web.HTTPMethodNotAllowed("PUT", ["POST", "GET"]), 405, "method_not_allowed"),
        (web.HTTPBadRequest(), 400, "bad_request"),
        (ZeroDivisionError("with a gwk_secret"), 500, "internal_error"),
    ],
)
async def test_every_fault_has_its_status(raised: Exception, status: int, code: str, caplog) -> None:
    async def fail(_: web.Request) -> web.Response:
        raise raised

    app = web.Application(middlewares=[speak_problems])
    app.router.add_get("/", fail)
    with caplog.at_level(logging.ERROR):
        async with TestClient(TestServer(app)) as client, client.get("/") as answer:
            text = await answer.text()
    assert (answer.status, json.loads(text)["code"]) == (status, code)
    assert "gwk_" not in text
    assert "Traceback" not in text
    assert bool(caplog.records) is (status == 500)
