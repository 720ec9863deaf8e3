"""The front door: every request gets an id, an answer and a log row, whatever goes wrong."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from tests.support.in_process import Served, serve
from tests.support.raw import RawAnswer, make_request, send

TABLES = """
[[providers]]
name = "fake"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["chat"]
"""
CORS = 'drain_seconds = 0\ncors_origins = ["https://app.example"]'


async def ask(served: Served, secret: str = "", **members: object) -> RawAnswer:
    return await asyncio.to_thread(send, served.port, make_request(secret, **members))  # type: ignore[arg-type]


async def test_each_refusal_has_its_row(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES) as served:
        answers = [
            await ask(served),
            await ask(served, "gwk_wrong"),
            await ask(served, served.secret, body=b"{"),
            await ask(served, served.secret, line=b"POST /v1/nothing HTTP/1.1"),
            await ask(served, served.secret, headers=b"X-Request-Id: mine\r\n"),
        ]
        await served.gateway.writer.flush()
        rows = await served.gateway.store.db.fetch(
            "SELECT request_id, status, error_code, client_request_id FROM request_log"
        )
    by_id = {row[0]: tuple(row[1:]) for row in rows}
    told = [by_id[answer.headers["x-request-id"]] for answer in answers]
    assert told == [
        (401, "missing_api_key", ""),
        (401, "invalid_api_key", ""),
        (400, "invalid_json", ""),
        (404, "route_not_found", ""),
        (503, "upstream_unavailable", "mine"),
    ]


async def test_what_no_model_can_be_asked_to_do_is_no_route(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES) as served:
        for models in ("/v1/models", "/v1beta/models"):
            line = f"POST {models}/gemini-pro:predict HTTP/1.1".encode()
            answer = await ask(served, served.secret, line=line)
            assert (answer.status, answer.code) == (404, "route_not_found")
            answer = await ask(served, served.secret, line=f"POST {models}/chat HTTP/1.1".encode())
            assert (answer.status, answer.code) == (405, "method_not_allowed")


async def test_a_fault_of_ours_is_told_to_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tmp_path, TABLES) as served:

        def explode(*_: object) -> None:
            raise KeyError("inner words")

        served.gateway.plane.queries["/v1/models"] = explode  # type: ignore[assignment]
        with caplog.at_level(logging.CRITICAL):
            answer = await ask(served, served.secret, line=b"GET /v1/models HTTP/1.1", framing=b"", body=b"")
        assert (answer.status, answer.code) == (500, "internal_error")
        assert b"inner words" not in answer.body


async def test_stale_keys_and_too_many_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(tmp_path, TABLES) as served:
        monkeypatch.setattr("gateway_proxy.proxy.handler.MAX_RUNNING", 0)
        assert (await ask(served, served.secret)).code == "overloaded"
        served.gateway.plane.is_barred = lambda strict: True
        answer = await ask(served, served.secret)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "store_stale", "5")


async def test_origins(tmp_path: Path) -> None:
    async with serve(tmp_path, TABLES, server=CORS) as served:
        ours = b"Origin: https://app.example\r\nAccess-Control-Request-Headers: x-a\r\n"
        line = b"OPTIONS /v1/chat/completions HTTP/1.1"
        answer = await ask(served, line=line, headers=ours, framing=b"", body=b"")
        assert answer.status == 204 and answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-allow-headers"] == "x-a"
        other = await ask(
            served, line=line, headers=b"Origin: https://evil.example\r\n", framing=b"", body=b""
        )
        assert other.status == 405 and "access-control-allow-origin" not in other.headers
        refused = await ask(served, headers=ours)
        assert (
            refused.status == 401 and refused.headers["access-control-allow-origin"] == "https://app.example"
        )
        assert json.loads(refused.body)["error"]["code"] == "missing_api_key"
